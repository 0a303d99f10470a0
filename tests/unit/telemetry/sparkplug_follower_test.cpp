// The tests' own host must see what is wrong: a follower that is blind makes every other test good.
#include "tests/harness/sparkplug_follower.hpp"

#include "agent/base/text.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using test::SparkplugFollower;

namespace {

const WallTime kNow = test::at_ms(1'700'000'000'000);
const MetricValue kBdSeq = std::int64_t{0}, kFalse = false, kOne = 1.0;

PayloadWriter::Metric metric(std::string_view name, std::optional<std::uint64_t> alias, const MetricValue& value,
                             std::optional<DataType> type = DataType::double_) {
  return {.name = name, .alias = alias, .time = kNow, .type = type, .historical = false, .value = &value, .unit = {}};
}

std::string birth(std::uint8_t seq = 0, std::vector<PayloadWriter::Metric> more = {}) {
  PayloadWriter out(kNow);
  out.add(metric("bdSeq", {}, kBdSeq, DataType::int64));
  out.add(metric("Node Control/Rebirth", {}, kFalse, DataType::boolean));
  out.add(metric("a", 16, kOne));
  for (const PayloadWriter::Metric& each : more)
    out.add(each);
  return std::move(out).finish(seq);
}

std::string data(std::uint8_t seq, std::vector<PayloadWriter::Metric> metrics) {
  PayloadWriter out(kNow);
  for (const PayloadWriter::Metric& each : metrics)
    out.add(each);
  return std::move(out).finish(seq);
}

std::string death(std::int64_t bd_seq, std::optional<std::uint8_t> seq = {}) {
  const MetricValue value = bd_seq;
  PayloadWriter out(kNow);
  out.add(metric("bdSeq", {}, value, DataType::int64));
  return std::move(out).finish(seq);
}

struct Host : SparkplugFollower {
  Host() : SparkplugFollower("G", "N") {}
  void get(const std::string& type, const std::string& payload, unsigned qos = 0, bool retain = false) {
    message("spBv1.0/G/" + type, payload, qos, retain);
  }
  // The id of the first problem since the last call, and how many there were.
  std::string fault() {
    const std::vector<std::string>& all = problems();
    const std::string out = seen == all.size() ? "" : all[seen].substr(0, all[seen].find(':'));
    seen = all.size();
    return out;
  }
  std::size_t seen = 0;
};

}  // namespace

TEST_CASE("follower: a good life has no problems and is rebuilt") {
  Host host;
  host.get("NBIRTH/N", birth());
  host.get("DBIRTH/N/disk:a", data(1, {metric("x", 17, kOne)}));
  const MetricValue two = 2.0;
  host.get("NDATA/N", data(2, {metric("", 16, two, {})}));
  CHECK(host.find("", "a")->value == SparkplugFollower::Value{2.0});
  host.get("DDEATH/N/disk:a", data(3, {}));
  CHECK_FALSE(host.devices().at("disk:a").online);
  host.get("NDEATH/N", death(0), 1);
  CHECK_FALSE(host.online());
  CHECK(host.fault().empty());
  CHECK(host.text().find("a 10 2 at 1700000000000") != std::string::npos);
}

TEST_CASE("follower: sees what a birth does wrong") {
  Host host;
  host.get("NBIRTH/N", birth(1));
  CHECK(host.fault() == "topics-nbirth-seq-num");
  host.get("NBIRTH/N", birth(), 1);
  CHECK(host.fault() == "topics-nbirth-mqtt");
  host.get("NBIRTH/N", birth(), 0, true);
  CHECK(host.fault() == "topics-nbirth-mqtt");
  host.get("NBIRTH/N", birth(0, {metric("b", 16, kOne)}));
  CHECK(host.fault() == "payloads-alias-uniqueness");
  host.get("NBIRTH/N", birth(0, {metric("b", {}, kOne)}));
  CHECK(host.fault() == "payloads-alias-birth-requirement");
  host.get("NBIRTH/N", birth(0, {metric("b", 17, kOne, {})}));
  CHECK(host.fault() == "payloads-metric-datatype-req");
  host.get("NBIRTH/N", birth(0, {metric("b", 17, kFalse)}));
  CHECK(host.fault() == "operational-behavior-data-publish-nbirth-values");
  PayloadWriter::Metric timeless = metric("b", 17, kOne);
  timeless.time.reset();
  host.get("NBIRTH/N", birth(0, {timeless}));
  CHECK(host.fault() == "payloads-name-birth-data-requirement");
  host.get("NBIRTH/N", data(0, {metric("bdSeq", {}, kBdSeq, DataType::int64)}));
  CHECK(host.fault() == "topics-nbirth-rebirth-metric");
  host.get("NBIRTH/N", data(0, {metric("Node Control/Rebirth", {}, kFalse, DataType::boolean)}));
  CHECK(host.fault() == "topics-nbirth-bdseq-included");
  host.get("NBIRTH/N", "\xff");
  CHECK(host.fault() == "topic-structure");
  host.get("NBIRTH/N/x", birth());
  CHECK(host.fault() == "topic-structure-namespace-device-id-non-associated-message-types");
  host.will("spBv1.0/G/NDEATH/N", death(5), 1, false);
  CHECK(host.fault().empty());
  host.get("NBIRTH/N", birth());
  CHECK(host.fault() == "topics-nbirth-bdseq-matching");
}

TEST_CASE("follower: sees what a will does wrong") {
  Host host;
  host.will("spBv1.0/G/NDEATH/M", death(0), 1, false);
  CHECK(host.fault() == "message-flow-edge-node-birth-publish-will-message-topic");
  host.will("spBv1.0/G/NDEATH/N", death(1), 0, false);
  CHECK(host.fault() == "message-flow-edge-node-birth-publish-will-message-qos");
  host.will("spBv1.0/G/NDEATH/N", death(2), 1, true);
  CHECK(host.fault() == "message-flow-edge-node-birth-publish-will-message-will-retained");
  host.will("spBv1.0/G/NDEATH/N", death(4), 1, false);
  CHECK(host.fault() == "topics-nbirth-bdseq-increment");
  host.will("spBv1.0/G/NDEATH/N", death(5, 1), 1, false);
  CHECK(host.fault() == "payloads-ndeath-seq");
}

TEST_CASE("follower: sees what data and deaths do wrong") {
  Host host;
  host.get("NDATA/N", data(0, {}));
  CHECK(host.fault() == "payloads-ndata-order");
  host.get("DBIRTH/N/d", data(0, {}));
  CHECK(host.fault() == "message-flow-device-birth-publish-nbirth-wait");
  host.get("NBIRTH/N", birth());
  host.get("NDATA/N", data(2, {metric("", 16, kOne, {})}));
  CHECK(host.fault() == "topics-ndata-seq-num");
  host.get("NDATA/N", data(3, {metric("a", 16, kOne, {})}));
  CHECK(host.fault() == "payloads-alias-data-cmd-requirement");
  host.get("NDATA/N", data(4, {metric("", 16, kOne)}));
  CHECK(host.fault() == "payloads-metric-datatype-not-req");
  host.get("NDATA/N", data(5, {metric("", 99, kOne, {})}));
  CHECK(host.fault() == "topics-nbirth-metric-reqs");
  host.get("NDATA/N", data(6, {metric("", 16, kFalse, {})}));
  CHECK(host.fault() == "payloads-metric-datatype-value");
  PayloadWriter::Metric old = metric("", 16, kOne, {});
  old.time = kNow - std::chrono::seconds(1);
  host.get("NDATA/N", data(7, {old}));
  CHECK(host.fault() == "operational-behavior-data-publish-nbirth-order");
  old.historical = true;
  host.get("NDATA/N", data(8, {old}));
  CHECK(host.fault().empty());
  host.get("DDATA/N/d", data(9, {}));
  CHECK(host.fault() == "payloads-ddata-order");
  host.get("DDEATH/N/d", data(9, {}));
  CHECK(host.fault() == "operational-behavior-device-ddeath");
  host.get("NDEATH/N", death(0, 3));
  CHECK(host.fault() == "topics-ndeath-seq");
}

TEST_CASE("follower: reads lines of mosquitto_sub") {
  Host host;
  host.line("0 0 " + hex_encode(birth()) + " spBv1.0/G/NBIRTH/N");
  CHECK(host.online());
  host.line("1 0 " + hex_encode(death(0)) + " spBv1.0/G/NDEATH/N");
  CHECK_FALSE(host.online());
  CHECK(host.fault().empty());
  host.line("0 0  some/other/topic");
  CHECK(host.fault().empty());
  for (const char* const bad : {"", "x", "0", "0 0", "0 0 zz t", "0 0 0"}) {
    host.line(bad);
    CHECK(host.fault() == "line");
  }
}
