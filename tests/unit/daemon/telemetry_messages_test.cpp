// What plain mode publishes, read back.
#include "agent/daemon/telemetry_messages.hpp"

#include "agent/codec/json.hpp"
#include "omnitide/node/v1/telemetry.pb.h"
#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

namespace v1 = node::v1;

constexpr WallTime kNow{std::chrono::milliseconds(1'767'268'800'042)};
constexpr std::array<std::string_view, 1> kLabel{"cpu"};
constexpr model::MetricDescriptor kCpu{"node_cpu_seconds_total", "seconds", "Help.", model::MetricType::counter,
                                       kLabel};
constexpr model::MetricDescriptor kLoad{"node_load1", "", "Help.", model::MetricType::gauge, {}};

template <class Report>
Report parsed(const std::string& bytes) {
  Report out;
  REQUIRE(out.ParseFromString(bytes));
  CHECK(out.node() == "press-7");
  return out;
}

}  // namespace

TEST_CASE("facts and conditions travel with node and time, in both forms") {
  const TelemetryMessages binary("press-7", MessageForm::protobuf), json("press-7", MessageForm::json);
  model::NodeFacts facts;
  facts.system.hostname = "press";
  const auto report = parsed<v1::FactsReport>(binary.facts(facts, "\x01\xff", kNow));
  CHECK(report.facts_sha256() == "01ff");
  CHECK(report.time().seconds() == 1'767'268'800);
  CHECK(report.time().nanos() == 42'000'000);
  v1::FactsReport from_json;
  REQUIRE(codec::from_json(json.facts(facts, "\x01\xff", kNow), from_json).has_value());
  CHECK(from_json.SerializeAsString() == report.SerializeAsString());

  const std::vector<model::Condition> conditions{
      {"Ready", model::ConditionStatus::false_, "AgentNotReady", "a sentence", kNow}};
  const auto told = parsed<v1::ConditionsReport>(binary.conditions(conditions, kNow));
  REQUIRE(told.items_size() == 1);
  CHECK(told.items(0).type() == "Ready");
  CHECK(told.items(0).status() == v1::CONDITION_STATUS_FALSE);
}

TEST_CASE("events have numbers, and what was lost before them") {
  const TelemetryMessages messages("press-7", MessageForm::protobuf);
  const std::vector<Event> events{{kNow, log::Part::policy, log::Level::warning, "bad \xff byte", 7}};
  const auto report = parsed<v1::EventsReport>(messages.events(events, 3, kNow - std::chrono::hours(1)));
  REQUIRE(report.items_size() == 1);
  CHECK(report.items(0).number() == 7);
  CHECK(report.items(0).level() == "warning");
  CHECK(report.lost() == 3);
  CHECK(report.started().seconds() == 1'767'268'800 - 3600);
}

TEST_CASE("metrics are those that are wanted, without help") {
  const TelemetryMessages messages("press-7", MessageForm::protobuf);
  model::SampleBatch batch;
  batch.add(kCpu, 1.5, {"0"});
  batch.add(kCpu, 2.5, {"1"});
  batch.add(kLoad, 0.5);
  const model::SampleBatch* const batches[] = {&batch};
  const auto wanted = [](const model::SampleView& sample) {
    return sample.descriptor == &kCpu && sample.labels[0] == "1";
  };
  const std::vector<std::string> reports = messages.metrics(batches, wanted, kNow);
  REQUIRE(reports.size() == 1);
  const auto report = parsed<v1::MetricsReport>(reports[0]);
  REQUIRE(report.items_size() == 1);
  CHECK(report.items(0).help().empty());
  REQUIRE(report.items(0).values_size() == 1);
  CHECK(report.items(0).values(0).value() == 2.5);
  CHECK(messages
            .metrics(
                batches, [](const model::SampleView&) { return false; }, kNow)
            .empty());
}

TEST_CASE("a large report of metrics is cut between families, and nothing of it is lost") {
  const TelemetryMessages messages("press-7", MessageForm::protobuf);
  model::SampleBatch batch;
  constexpr int kFamilies = 40, kSeries = 300;
  for (int family = 0; family < kFamilies; ++family) {
    const std::string name = "family_" + std::to_string(family);
    const model::MetricDescriptor& descriptor = batch.describe({name, "", "", model::MetricType::gauge, kLabel});
    for (int i = 0; i < kSeries; ++i)
      batch.add(descriptor, i, {std::to_string(i) + std::string(30, 'x')});
  }
  const model::SampleBatch* const batches[] = {&batch};
  const std::vector<std::string> reports = messages.metrics(batches, {}, kNow);
  CHECK(reports.size() > 1);
  int values = 0;
  for (const std::string& bytes : reports) {
    CHECK(bytes.size() <= kLongestReport + 1024);
    const auto report = parsed<v1::MetricsReport>(bytes);
    for (const v1::MetricFamily& family : report.items())
      values += family.values_size();
  }
  CHECK(values == kFamilies * kSeries);
}

}  // namespace omnitide::daemon
