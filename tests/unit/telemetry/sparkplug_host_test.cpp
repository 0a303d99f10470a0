#include "agent/telemetry/host_state.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::known;
using test::SparkplugEdge;
using Phase = SparkplugSession::Phase;

namespace {

SparkplugOptions waiting(std::size_t brokers = 1) {
  SparkplugOptions out;
  out.primary_host = "H";
  out.brokers = brokers;
  return out;
}

std::vector<KnownMetric> some() { return {known(16, "", "a", 1.0), known(17, "disk:sda", "b", 1.0)}; }

}  // namespace

TEST_CASE("host: births wait for STATE online of the primary host") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.connect();
  CHECK(edge.session.phase() == Phase::waiting_for_host);
  edge.data({{"", edge.now, {{16, DataType::double_, 2.0}}}});
  CHECK(edge.sent.empty());
  edge.state(false, 1000);
  CHECK(edge.sent.empty());
  CHECK(edge.done().empty());  // with one broker there is nowhere else to go
  edge.state(true, 2000);
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
  CHECK(edge.problems().empty());
  CHECK(edge.session.state().hosts == std::vector<HostState>{{std::string(test::kBroker), 2000, true}});
}

TEST_CASE("host: a STATE that the broker sends before the subscription is acknowledged counts") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.open();
  edge.state(true, 2000);
  CHECK(edge.sent.empty());
  edge.session.connected(edge.now);
  edge.pump();
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
}

TEST_CASE("host: STATE of another host says nothing") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.connect();
  edge.get("spBv1.0/STATE/other", R"({"online":true,"timestamp":5})");
  CHECK(edge.session.phase() == Phase::waiting_for_host);
  CHECK(edge.done() == "refused spBv1.0/STATE/other=the topic is not one of this node");
}

TEST_CASE("host: an older STATE is ignored, one of the same time counts") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.connect();
  edge.state(true, 2000);
  edge.clear();
  edge.state(false, 1999);
  CHECK(edge.session.phase() == Phase::online);
  CHECK(edge.session.counts().stale_states == 1);
  CHECK(edge.sent.empty());
  edge.state(true, 2000);  // told again
  CHECK(edge.session.phase() == Phase::online);
  CHECK(edge.sent.empty());
  edge.state(false, 2000);  // a host's will has the time of its birth
  CHECK(edge.types() == "DDEATH disk:sda, NDEATH");
  CHECK(edge.done() == "disconnect 4");
  CHECK(edge.session.phase() == Phase::disconnected);
  CHECK(edge.problems().empty());
}

TEST_CASE("host: the last STATE is remembered over reconnects and restarts, and one heard anew is waited for") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.connect();
  edge.state(true, 2000);
  edge.lose();
  edge.clear();
  edge.connect();
  CHECK(edge.session.phase() == Phase::waiting_for_host);  // online is not taken over from before
  edge.state(true, 1500);
  CHECK(edge.session.phase() == Phase::waiting_for_host);
  CHECK(edge.session.counts().stale_states == 1);
  edge.state(true, 2000);
  CHECK(edge.session.phase() == Phase::online);

  const Result<SparkplugState> kept = decode_state(encode_state(edge.session.state()));
  REQUIRE(kept);
  SparkplugEdge restarted(waiting(), *kept);
  restarted.metrics(some());
  restarted.connect();
  restarted.state(true, 1999);
  CHECK(restarted.session.phase() == Phase::waiting_for_host);
  restarted.state(true, 2001);
  CHECK(restarted.session.phase() == Phase::online);
}

TEST_CASE("host: each broker has its own time of the host") {
  SparkplugEdge edge(waiting(2));
  edge.metrics(some());
  edge.connect("one:1883");
  edge.state(true, 9000);
  edge.lose();
  edge.clear();
  edge.connect("two:1883");
  edge.state(true, 4000);  // its session there is older
  CHECK(edge.session.phase() == Phase::online);
  CHECK(edge.session.state().hosts.size() == 2);
  for (int i = 0; i < 20; ++i) {
    edge.lose();
    edge.connect("broker " + std::to_string(i));
    edge.state(true, 1);
  }
  CHECK(edge.session.state().hosts.size() == 8);
}

TEST_CASE("host: of several brokers the next one is tried when the host is offline on this one") {
  SparkplugEdge edge(waiting(3));
  edge.metrics(some());
  SECTION("while it waits") {
    edge.connect("one:1883");
    edge.state(false, 1000);
    CHECK(edge.sent.empty());
    CHECK(edge.done() == "disconnect 4, next");
  }
  SECTION("heard before the subscription was acknowledged") {
    edge.open("one:1883");
    edge.state(false, 1000);
    CHECK(edge.done().empty());
    edge.session.connected(edge.now);
    edge.pump();
    CHECK(edge.done() == "disconnect 4, next");
  }
  SECTION("when it goes away") {
    edge.connect("one:1883");
    edge.state(true, 1000);
    edge.clear();
    edge.state(false, 1000);
    CHECK(edge.types() == "DDEATH disk:sda, NDEATH");
    CHECK(edge.done() == "disconnect 4, next");
    edge.clear();
    edge.connect("two:1883");
    CHECK(edge.sent.empty());
    edge.state(true, 500);
    CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
  }
  SECTION("when it does not show itself in time") {
    edge.connect("one:1883");
    REQUIRE(edge.session.next_tick().has_value());
    edge.wait(29s);
    CHECK(edge.done().empty());
    edge.wait(1s);
    CHECK(edge.done() == "disconnect 4, next");
    CHECK(edge.sent.empty());
  }
  CHECK(edge.problems().empty());
}

TEST_CASE("host: with one broker a silent host is waited for without end") {
  SparkplugEdge edge(waiting());
  edge.connect();
  CHECK_FALSE(edge.session.next_tick().has_value());
}

TEST_CASE("host: STATE is JSON with online and timestamp in any order, other members are passed over") {
  const auto good = [](std::string_view json) { return parse_host_report(json).has_value(); };
  CHECK(good(R"({"online":true,"timestamp":1700000000000})"));
  CHECK(good(" {\n\"timestamp\" : 0 , \"online\" : false }\n"));
  CHECK(good(R"({"bdSeq":3,"online":true,"x":{"a":[1,"}",null,{"online":4}]},"timestamp":1.7e12,"y":"\"\\"})"));
  CHECK(parse_host_report(R"({"timestamp":17,"online":true})")->timestamp == 17);
  CHECK(parse_host_report(R"({"timestamp":17,"online":true})")->online);
  for (const char* const bad : {"",
                                "ONLINE",
                                "OFFLINE",
                                "null",
                                "[]",
                                "{}",
                                R"({"online":true})",
                                R"({"timestamp":1})",
                                R"({"online":"true","timestamp":1})",
                                R"({"online":1,"timestamp":1})",
                                R"({"online":true,"timestamp":"1"})",
                                R"({"online":true,"timestamp":-1})",
                                R"({"online":true,"timestamp":1.5})",
                                R"({"online":true,"timestamp":1e300})",
                                R"({"online":true,"timestamp":nan})",
                                R"({"online":true,"online":false,"timestamp":1})",
                                R"({"online":true,"timestamp":1,"timestamp":2})",
                                R"({"online":true,"timestamp":1} x)",
                                R"({"online":true,"timestamp":1,})",
                                R"({"online":true "timestamp":1})",
                                R"({"online":true,"timestamp":1,"x":"a)",
                                "{\"online\":true,\"timestamp\":1,\"x\":\"\xff\"}"}) {
    INFO(bad);
    CHECK_FALSE(good(bad));
  }
  std::string deep = R"({"x":)" + std::string(100, '[') + std::string(100, ']') + R"(,"online":true,"timestamp":1})";
  CHECK_FALSE(good(deep));
  CHECK_FALSE(good(R"({"online":true,"timestamp":1,"x":")" + std::string(5000, 'a') + "\"}"));
}

TEST_CASE("host: garbage in STATE is reported and changes nothing") {
  SparkplugEdge edge(waiting());
  edge.metrics(some());
  edge.connect();
  edge.state(true, 1000);
  edge.clear();
  edge.get("spBv1.0/STATE/H", "OFFLINE");
  CHECK(edge.session.phase() == Phase::online);
  CHECK(edge.done() == "refused STATE=is no STATE of a host: it is no JSON object");
  CHECK(edge.session.counts().refused == 1);
}
