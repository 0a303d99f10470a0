#include <array>

#include "agent/telemetry/sparkplug_payload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::known;
using test::SparkplugEdge;
using test::to_text;
using Values = std::vector<test::SparkplugFollower::Told>;

namespace {

Report report(std::string device, WallTime time, std::uint64_t alias, double value) {
  return {std::move(device), time, {{alias, DataType::double_, value}}};
}

std::vector<KnownMetric> set() {
  return {known(16, "", "a", 1.0), known(17, "", "b", 1.0), known(18, "disk:sda", "c", 1.0)};
}

struct Born : SparkplugEdge {
  Born() : SparkplugEdge({}) {
    metrics(set());
    connect();
    clear();
    now += 10s;
  }
};

}  // namespace

TEST_CASE("data: NDATA and DDATA carry aliases, times and values, no names and no datatypes") {
  Born edge;
  edge.data({report("", edge.now, 16, 2), report("disk:sda", edge.now, 18, 3)});
  CHECK(edge.types() == "NDATA, DDATA disk:sda");
  for (const SparkplugMessage& message : edge.sent) {
    CHECK(message.qos == 0);
    CHECK_FALSE(message.retain);
    const Result<PayloadView> payload = read_payload(message.payload, 10);
    REQUIRE(payload);
    CHECK(payload->timestamp == 1'700'000'010'000U);
    REQUIRE(payload->metrics.size() == 1);
    CHECK_FALSE(payload->metrics[0].name.has_value());
    CHECK_FALSE(payload->metrics[0].datatype.has_value());
    CHECK_FALSE(payload->metrics[0].historical);
    CHECK(payload->metrics[0].timestamp == 1'700'000'010'000U);
  }
  CHECK(edge.host.find("", "a")->value == test::SparkplugFollower::Value{2.0});
  CHECK(edge.host.find("", "b")->value == test::SparkplugFollower::Value{1.0});
  CHECK(edge.host.find("disk:sda", "c")->value == test::SparkplugFollower::Value{3.0});
  CHECK(edge.problems().empty());
}

TEST_CASE("data: every type of value and null arrive as they are") {
  SparkplugEdge edge({});
  edge.metrics({known(16, "", "double", 0.0), known(17, "", "uint64", std::uint64_t{0}), known(18, "", "flag", false),
                known(19, "", "text", std::string()), known(20, "", "int64", std::int64_t{0})});
  edge.connect();
  edge.now += 1s;
  const std::vector<ReportedValue> all{{16, DataType::double_, -1.5e300},
                                       {17, DataType::uint64, ~std::uint64_t{0}},
                                       {18, DataType::boolean, true},
                                       {19, DataType::string, std::string("gr\xc3\xbc\xc3\x9f \"dich\"")},
                                       {20, DataType::int64, std::int64_t{-9'000'000'000}}};
  edge.data({{"", edge.now, all}});
  for (const ReportedValue& value : all) {
    const std::string_view name = std::array{"double", "uint64", "flag", "text", "int64"}[value.alias - 16];
    CHECK(to_text(edge.host.find("", std::string(name))->value) ==
          std::visit([](const auto& held) { return to_text(test::SparkplugFollower::Value{held}); }, value.value));
  }
  edge.now += 1s;
  edge.data({{"", edge.now, {{16, DataType::double_, MetricValue{}}, {19, DataType::string, MetricValue{}}}}});
  CHECK(edge.host.find("", "double")->value == test::SparkplugFollower::Value{});
  CHECK(edge.host.find("", "text")->value == test::SparkplugFollower::Value{});
  CHECK(edge.problems().empty());
}

TEST_CASE("data: values outside of the birth are left out and counted") {
  Born edge;
  CHECK(edge.session.born(16));
  CHECK(edge.session.born(18));
  CHECK_FALSE(edge.session.born(99));
  edge.data({{"", edge.now, {{16, DataType::double_, 2.0}, {99, DataType::double_, 2.0}, {18, DataType::double_, 2.0}}},
             report("disk:sdb", edge.now, 20, 1)});
  CHECK(edge.types() == "NDATA");
  CHECK(edge.session.counts().unknown_aliases == 3);
  edge.clear();
  edge.data({report("", edge.now, 99, 1)});
  CHECK(edge.sent.empty());  // no empty message takes a seq
  edge.data({report("", edge.now, 16, 3)});
  CHECK(edge.problems().empty());
}

TEST_CASE("history: is flagged, keeps its times and its order, and does not change the present values") {
  Born edge;
  std::vector<Report> backlog;
  for (int i = 0; i < 10; ++i) {
    backlog.push_back(report("", edge.now - 1h + i * 10s, 16, i));
    backlog.push_back(report("disk:sda", edge.now - 1h + i * 10s, 18, i));
  }
  edge.data(backlog, true);
  CHECK(edge.types() == "NDATA, DDATA disk:sda");  // many reports, one message for each device
  edge.data({report("", edge.now, 16, 100)});
  CHECK(edge.host.find("", "a")->value == test::SparkplugFollower::Value{100.0});
  CHECK(edge.host.find("", "a")->historical == 10);
  CHECK(edge.host.find("disk:sda", "c")->value == test::SparkplugFollower::Value{1.0});
  std::vector<std::string> history;
  std::uint64_t before = 0;
  for (const auto& told : edge.host.values()) {
    if (!told.historical || told.device != "") continue;
    history.push_back(to_text(told.value));
    CHECK(told.timestamp > before);
    before = told.timestamp;
  }
  CHECK(history == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
  CHECK(edge.problems().empty());
}

TEST_CASE("history: a metric that is no longer measured is born null and may still be told of") {
  Born edge;
  std::vector<KnownMetric> with_old = set();
  with_old.push_back({30, {"disk:gone", "node_disk_io_now", DataType::double_, MetricValue{}, ""}});
  edge.wait(60s);
  edge.metrics(with_old);
  REQUIRE(edge.host.find("disk:gone", "node_disk_io_now") != nullptr);
  CHECK(edge.host.find("disk:gone", "node_disk_io_now")->value == test::SparkplugFollower::Value{});
  edge.data({report("disk:gone", edge.now - 1h, 30, 5)}, true);
  CHECK(edge.host.find("disk:gone", "node_disk_io_now")->historical == 1);
  CHECK(edge.host.find("disk:gone", "node_disk_io_now")->value == test::SparkplugFollower::Value{});
  edge.metrics(set());  // the backlog is told
  CHECK_FALSE(edge.host.devices().at("disk:gone").online);
  CHECK(edge.problems().empty());
}

TEST_CASE("history: of a metric whose type changed goes out under its present alias, as the present type") {
  SparkplugEdge edge({});
  KnownMetric old{17, {"", "joules", DataType::uint64, MetricValue{}, ""}};
  edge.metrics({known(16, "", "joules", 1.5), old, known(16, "", "joules", 1.5)});  // and one that is there twice
  edge.connect();
  CHECK(edge.problems().empty());
  CHECK(edge.host.find("", "joules")->alias == 16U);
  CHECK(edge.session.born(17));
  edge.data({{"", edge.now - 1h, {{17, DataType::uint64, std::uint64_t{3}}, {17, DataType::uint64, MetricValue{}}}}},
            true);
  REQUIRE(edge.host.find("", "joules")->historical == 2);
  CHECK(edge.host.values().end()[-2].value == test::SparkplugFollower::Value{3.0});
  CHECK(edge.host.values().back().value == test::SparkplugFollower::Value{});
  CHECK(edge.problems().empty());
  CHECK(edge.session.counts().unknown_aliases == 0);
}

TEST_CASE("order: a live report that is older than the birth's values becomes history") {
  Born edge;
  const Report waiting = report("", edge.now, 16, 2);
  edge.now += 60s;
  std::vector<KnownMetric> changed = set();
  changed.push_back(known(19, "", "new", 1.0));
  edge.metrics(changed);
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
  edge.data({waiting, report("", edge.now, 16, 3)});
  CHECK(edge.host.find("", "a")->historical == 1);
  CHECK(edge.host.find("", "a")->value == test::SparkplugFollower::Value{3.0});
  CHECK(edge.problems().empty());
}

TEST_CASE("data: long histories become messages of a bounded size, in order") {
  Born edge;
  std::vector<Report> backlog;
  for (int i = 0; i < 5'000; ++i) {
    backlog.push_back(report("", edge.now - 2h + i * 1s, 16, i));
    if (i % 2 == 0) backlog.push_back(report("disk:sda", edge.now - 2h + i * 1s, 18, i));
  }
  edge.data(backlog, true);
  CHECK(edge.sent.size() > 3);
  std::size_t largest = 0;
  for (const SparkplugMessage& message : edge.sent)
    largest = std::max(largest, message.payload.size());
  CHECK(largest < 33'000);
  double expected = 0;
  for (const auto& told : edge.host.values()) {
    if (!told.historical || told.name != "a") continue;
    REQUIRE(told.value == test::SparkplugFollower::Value{expected});
    expected += 1;
  }
  CHECK(expected == 5'000);
  CHECK(edge.host.find("disk:sda", "c")->historical == 2'500);
  CHECK(edge.problems().empty());
}
