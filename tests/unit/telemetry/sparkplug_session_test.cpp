#include "agent/telemetry/sparkplug_session.hpp"

#include "agent/telemetry/sparkplug_payload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::at_ms;
using test::known;
using test::SparkplugEdge;
using Phase = SparkplugSession::Phase;

namespace {

std::vector<KnownMetric> two_devices() {
  return {known(16, "", "node_load1", 0.5), known(17, "", "node_forks_total", std::uint64_t{7}),
          known(18, "disk:sda", "node_disk_io_now", 2.0), known(19, "nic:eth0", "node_network_up", 1.0)};
}

}  // namespace

TEST_CASE("birth: NBIRTH, then the devices, each once, with every metric and its value") {
  SparkplugEdge edge({});
  edge.metrics(two_devices());
  CHECK(edge.sent.empty());
  edge.connect();
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda, DBIRTH nic:eth0");
  CHECK(edge.done() == "online");
  CHECK(edge.session.phase() == Phase::online);
  CHECK(edge.problems().empty());
  REQUIRE(edge.host.find("", "node_load1") != nullptr);
  CHECK(edge.host.find("", "node_load1")->value == test::SparkplugFollower::Value{0.5});
  CHECK(edge.host.find("", "node_load1")->datatype == 10);
  CHECK(edge.host.find("", "node_forks_total")->value == test::SparkplugFollower::Value{std::uint64_t{7}});
  CHECK(edge.host.find("", "node_forks_total")->datatype == 8);
  CHECK(edge.host.find("disk:sda", "node_disk_io_now")->alias == 18U);
  CHECK(edge.host.find("nic:eth0", "node_network_up")->timestamp == 1'700'000'000'000U);
  CHECK(edge.session.counts().births == 1);
  CHECK(edge.session.counts().device_births == 2);
  CHECK(edge.session.counts().rebirths == 0);
}

TEST_CASE("birth: nothing is published before the connection is acknowledged and metrics are known") {
  SparkplugEdge edge({});
  edge.open();
  edge.metrics({known(16, "", "a", 1.0)});
  CHECK(edge.sent.empty());
  edge.session.connected(edge.now);
  edge.pump();
  CHECK(edge.types() == "NBIRTH");

  SparkplugEdge early({});
  early.connect();
  CHECK(early.session.phase() == Phase::waiting_for_metrics);
  CHECK(early.sent.empty());
  early.metrics({});
  CHECK(early.types() == "NBIRTH");
  CHECK(early.problems().empty());
}

TEST_CASE("birth: a metric without a value is born as null, with its unit and datatype") {
  SparkplugEdge edge({});
  edge.metrics({known(16, "", "celsius", MetricValue{}, "celsius"), known(17, "", "text", std::string("x")),
                known(18, "", "flag", true), known(19, "", "below", std::int64_t{-3})});
  edge.connect();
  CHECK(edge.problems().empty());
  CHECK(edge.host.find("", "celsius")->value == test::SparkplugFollower::Value{});
  CHECK(edge.host.find("", "celsius")->unit == "celsius");
  CHECK(edge.host.find("", "text")->value == test::SparkplugFollower::Value{std::string("x")});
  CHECK(edge.host.find("", "flag")->value == test::SparkplugFollower::Value{true});
  CHECK(edge.host.find("", "below")->value == test::SparkplugFollower::Value{std::int64_t{-3}});
}

TEST_CASE("will: NDEATH with bdSeq alone, QoS 1, not retained, without seq") {
  SparkplugEdge edge({});
  edge.open();
  CHECK(edge.will.topic == "spBv1.0/G/NDEATH/N");
  CHECK(edge.will.qos == 1);
  CHECK_FALSE(edge.will.retain);
  const Result<PayloadView> payload = read_payload(edge.will.payload, 10);
  REQUIRE(payload);
  CHECK_FALSE(payload->seq.has_value());
  REQUIRE(payload->metrics.size() == 1);
  CHECK(payload->metrics[0].name == std::optional<std::string_view>("bdSeq"));
  CHECK(payload->metrics[0].datatype == 4U);
  CHECK(edge.problems().empty());
}

TEST_CASE("bdSeq: counts each CONNECT from 0 to 255 and on from 0, also failed ones, brokers and restarts") {
  SparkplugState kept;
  {
    SparkplugEdge edge({});
    edge.metrics({});
    for (std::uint64_t expected = 0; expected < 300; ++expected) {
      edge.open(expected % 2 == 0 ? "one:1883" : "two:1883");
      CHECK(edge.session.bd_seq() == expected % 256);
      if (expected % 3 == 0) continue;  // no CONNACK
      edge.session.connected(edge.now);
      edge.pump();
      CHECK(edge.host.bd_seq() == expected % 256);
      edge.lose();
    }
    CHECK(edge.problems().empty());
    kept = edge.session.state();
  }
  const Result<SparkplugState> read = decode_state(encode_state(kept));
  REQUIRE(read);
  SparkplugEdge again({}, *read);
  again.connect();
  CHECK(again.session.bd_seq() == 300 % 256);
}

TEST_CASE("seq: 0 at each NBIRTH, one more with each message, 0 again after 255") {
  SparkplugEdge edge({});
  edge.metrics(two_devices());
  edge.connect();
  for (int i = 0; i < 600; ++i) {
    edge.now += 1s;
    edge.data({{"", edge.now, {{16, DataType::double_, 1.0 * i}}},
               {"disk:sda", edge.now, {{18, DataType::double_, 2.0 * i}}}});
  }
  CHECK(edge.sent.size() == 3 + 1200);
  CHECK(edge.problems().empty());  // the follower compares each seq
  const Result<PayloadView> birth = read_payload(edge.sent[0].payload, 100);
  const Result<PayloadView> last = read_payload(edge.sent.back().payload, 100);
  REQUIRE(birth);
  REQUIRE(last);
  CHECK(birth->seq == 0U);
  CHECK(last->seq == (3U + 1200U - 1U) % 256U);
}

TEST_CASE("stop: DDEATH of each device, NDEATH with the bdSeq of the birth, then DISCONNECT 0x04") {
  SparkplugEdge edge({});
  edge.metrics(two_devices());
  edge.connect();
  edge.clear();
  edge.now += 5s;
  edge.session.stop(edge.now);
  edge.pump();
  CHECK(edge.types() == "DDEATH disk:sda, DDEATH nic:eth0, NDEATH");
  CHECK(edge.done() == "disconnect 4");
  CHECK_FALSE(edge.host.online());
  CHECK(edge.host.stale_deaths() == 0);
  CHECK(edge.session.phase() == Phase::disconnected);
  CHECK(edge.problems().empty());
  CHECK(edge.session.counts().deaths == 1);
  const Result<PayloadView> death = read_payload(edge.sent[0].payload, 10);
  REQUIRE(death);
  CHECK(death->timestamp == 1'700'000'005'000U);
  CHECK(death->seq == 3U);
  CHECK(death->metrics.empty());

  SECTION("nothing is published after it") {
    edge.clear();
    edge.metrics(two_devices());
    edge.data({{"", edge.now, {{16, DataType::double_, 1.0}}}});
    edge.get("spBv1.0/G/NCMD/N", "");
    CHECK(edge.sent.empty());
    CHECK(edge.other.empty());
  }
  SECTION("one that was not born says no NDEATH, since a birth must come first") {
    SparkplugEdge unborn({});
    unborn.connect();
    unborn.session.stop(unborn.now);
    unborn.pump();
    CHECK(unborn.sent.empty());
    CHECK(unborn.done() == "disconnect 4");
  }
  SECTION("one that is not connected says nothing") {
    SparkplugEdge alone({});
    alone.session.stop(alone.now);
    alone.pump();
    CHECK(alone.done().empty());
  }
}

TEST_CASE("loss: the will is the death, and the next session is born anew with the next bdSeq") {
  SparkplugEdge edge({});
  edge.metrics(two_devices());
  edge.connect();
  edge.lose();
  CHECK_FALSE(edge.host.online());
  CHECK(edge.session.phase() == Phase::disconnected);
  edge.clear();
  edge.now += 1h;
  edge.metrics(two_devices());
  edge.connect();
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda, DBIRTH nic:eth0");
  CHECK(edge.host.bd_seq() == 1U);
  CHECK(edge.problems().empty());
}

TEST_CASE("loss: an NDEATH of the session before does not end the new one") {
  SparkplugEdge edge({});
  edge.metrics({});
  edge.connect();
  const SparkplugMessage old = edge.will;
  edge.session.disconnected();
  edge.connect();
  edge.host.message(old.topic, old.payload, old.qos, old.retain);  // the broker noticed late
  CHECK(edge.host.online());
  CHECK(edge.host.stale_deaths() == 1);
}

TEST_CASE("topics: commands of the node and its devices, and STATE of the primary host only") {
  SparkplugEdge alone({});
  CHECK(alone.session.filters() == std::vector<std::string>{"spBv1.0/G/NCMD/N", "spBv1.0/G/DCMD/N/+"});
  SparkplugEdge with_host({.node = {}, .primary_host = "H", .commands = {}});
  CHECK(with_host.session.filters().back() == "spBv1.0/STATE/H");
}

TEST_CASE("state: what was not written by encode_state is data_loss") {
  const SparkplugState state{17, {{"a b:1883", 1'700'000'000'000, true}, {"[::1]:8883", 5, false}}};
  const Result<SparkplugState> read = decode_state(encode_state(state));
  REQUIRE(read);
  CHECK(*read == state);
  const std::string good = encode_state(state);
  for (const std::string& bad :
       {std::string(), std::string("x"), good.substr(0, good.size() - 1),
        std::string("omnitide-sparkplug 2\nbdseq 1\n"), std::string("omnitide-sparkplug 1\nbdseq 256\n"),
        std::string("omnitide-sparkplug 1\n\n"), std::string("omnitide-sparkplug 1\nhost 1 online a\n"),
        good + "host 1 perhaps x\n"}) {
    const Result<SparkplugState> damaged = decode_state(bad);
    REQUIRE(damaged.has_error());
    CHECK(damaged.error().code == Code::data_loss);
  }
}
