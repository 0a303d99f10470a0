#include "agent/base/wire.hpp"
#include "agent/telemetry/sparkplug_payload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::known;
using test::SparkplugEdge;
using Phase = SparkplugSession::Phase;

namespace {

constexpr std::string_view kNcmd = "spBv1.0/G/NCMD/N";

SparkplugOptions allowing(std::vector<std::string> commands, std::size_t brokers = 1) {
  SparkplugOptions out;
  out.commands = std::move(commands);
  out.brokers = brokers;
  return out;
}

std::string write_of(std::string_view name, const MetricValue& value, std::optional<std::uint64_t> alias = {},
                     std::optional<DataType> type = {}) {
  PayloadWriter out(test::at_ms(1));
  out.add({.name = name, .alias = alias, .time = {}, .type = type, .historical = false, .value = &value, .unit = {}});
  return std::move(out).finish(0);
}

std::string rebirth_request() { return write_of("Node Control/Rebirth", true); }

struct Born : SparkplugEdge {
  explicit Born(SparkplugOptions options) : SparkplugEdge(std::move(options)) {
    metrics({known(16, "", "node_load1", 0.5), known(17, "disk:sda", "b", 1.0)});
    connect();
    clear();
  }
};

}  // namespace

TEST_CASE("rebirth: a host's request is answered at once with the same bdSeq, allowed or not") {
  Born edge(allowing({}));
  edge.data({{"", edge.now, {{16, DataType::double_, 2.0}}}});
  edge.clear();
  edge.get(kNcmd, rebirth_request());
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
  CHECK(edge.host.bd_seq() == 0U);
  CHECK(edge.problems().empty());
  CHECK(edge.done().empty());
  CHECK(edge.session.counts().rebirths == 1);
  edge.clear();
  edge.get(kNcmd, write_of("Node Control/Rebirth", true, {}, DataType::boolean));
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:sda");
  edge.clear();
  edge.get(kNcmd, write_of("Node Control/Rebirth", false));
  CHECK(edge.types().empty());
  CHECK(edge.done().empty());
}

TEST_CASE("rebirth: a flood of requests causes five births, then one in ten seconds, and none is forgotten") {
  Born edge(allowing({}));
  for (int i = 0; i < 1000; ++i)
    edge.get(kNcmd, rebirth_request());
  CHECK(edge.session.counts().rebirths == 5);
  CHECK(edge.session.counts().delayed_births == 995);
  edge.wait(9'999ms);
  CHECK(edge.session.counts().rebirths == 5);
  edge.wait(1ms);
  CHECK(edge.session.counts().rebirths == 6);
  edge.wait(1h);
  CHECK(edge.session.counts().rebirths == 6);  // what waited was one birth
  for (int i = 0; i < 10; ++i)
    edge.get(kNcmd, rebirth_request());
  CHECK(edge.session.counts().rebirths == 11);
  CHECK(edge.problems().empty());
}

TEST_CASE("controls: the birth shows Rebirth, and of the others those that are allowed, with fixed aliases") {
  Born none(allowing({}));
  CHECK(none.host.find("", "Node Control/Rebirth") != nullptr);
  for (const char* const name : {"Reboot", "Next Server", "Rediscover", "Interval", "Dead Band"})
    CHECK(none.host.find("", std::string("Node Control/") + name) == nullptr);
  Born all(allowing({"rebirth", "reboot", "next-server", "rediscover", "interval", "deadband"}));
  CHECK(all.host.find("", "Node Control/Rebirth")->alias == std::nullopt);
  CHECK(all.host.find("", "Node Control/Reboot")->alias == 1U);
  CHECK(all.host.find("", "Node Control/Next Server")->alias == 2U);
  CHECK(all.host.find("", "Node Control/Rediscover")->alias == 3U);
  CHECK(all.host.find("", "Node Control/Interval")->alias == 4U);
  CHECK(all.host.find("", "Node Control/Dead Band")->alias == 5U);
  CHECK(all.problems().empty());
}

TEST_CASE("commands: allowed writes by name or alias are handed on") {
  Born edge(allowing({"reboot", "rediscover", "interval", "deadband"}));
  edge.get(kNcmd, write_of("Node Control/Reboot", true));
  edge.get(kNcmd, write_of("", true, 3));
  edge.get(kNcmd, write_of("Node Control/Interval", std::string("5s")));
  edge.get(kNcmd, write_of("", std::string("node_load*=2%,node_x=0.5"), 5, DataType::string));
  CHECK(edge.done() ==
        "command reboot=true, command rediscover=true, command interval=5s, "
        "command deadband=node_load*=2%,node_x=0.5");
  CHECK(edge.session.counts().refused == 0);
  edge.clear();
  edge.get(kNcmd, write_of("Node Control/Reboot", false));
  CHECK(edge.done().empty());
}

TEST_CASE("commands: the present settings are born, and a change is told") {
  Born edge(allowing({"interval"}));
  CHECK(edge.host.find("", "Node Control/Interval")->value == test::SparkplugFollower::Value{});
  edge.session.setting("interval", "10s", edge.now);
  edge.session.setting("deadband", "*=1", edge.now);  // not allowed, so not shown
  edge.pump();
  CHECK(edge.types() == "NDATA");
  CHECK(edge.host.find("", "Node Control/Interval")->value == test::SparkplugFollower::Value{std::string("10s")});
  edge.session.setting("interval", "10s", edge.now);
  edge.pump();
  CHECK(edge.types() == "NDATA");
  edge.lose();
  edge.connect();
  CHECK(edge.host.find("", "Node Control/Interval")->value == test::SparkplugFollower::Value{std::string("10s")});
  CHECK(edge.problems().empty());
}

TEST_CASE("Next Server: deaths, disconnect, and the next broker") {
  Born edge(allowing({"next-server"}, 2));
  edge.get(kNcmd, write_of("Node Control/Next Server", true));
  CHECK(edge.types() == "DDEATH disk:sda, NDEATH");
  CHECK(edge.done() == "disconnect 4, next");
  CHECK(edge.problems().empty());
  Born single(allowing({"next-server"}, 1));
  single.get(kNcmd, write_of("Node Control/Next Server", true));
  CHECK(single.done() == "disconnect 4");
}

TEST_CASE("commands: what is not allowed, unknown, of another type or not a setting is refused and reported") {
  Born edge(allowing({"interval", "rediscover"}));
  const auto refusal = [&edge](const std::string& payload, std::string_view topic = kNcmd) {
    edge.clear();
    edge.get(topic, payload);
    CHECK(edge.sent.empty());
    return edge.done();
  };
  CHECK(refusal(write_of("Node Control/Reboot", true)) ==
        "refused Node Control/Reboot=is not allowed by the configuration");
  CHECK(refusal(write_of("Node Control/Next Server", true)) ==
        "refused Node Control/Next Server=is not allowed by the configuration");
  CHECK(refusal(write_of("Node Control/Format Disk", true)) ==
        "refused Node Control/Format Disk=there is no such metric");
  CHECK(refusal(write_of("", true, 999)) == "refused alias 999=there is no such metric");
  CHECK(refusal(write_of("", true, 1)) == "refused alias 1=is not allowed by the configuration");
  CHECK(refusal(write_of("node_load1", 1.0)) == "refused node_load1=can only be read");
  CHECK(refusal(write_of("", 1.0, 16)) == "refused alias 16=can only be read");
  CHECK(refusal(write_of("bdSeq", std::int64_t{1})) == "refused bdSeq=there is no such metric");
  CHECK(refusal(write_of("", true)) == "refused a metric without name=there is no such metric");
  CHECK(refusal(write_of("Node Control/Rediscover", std::string("true"))) ==
        "refused Node Control/Rediscover=the value is of another type");
  CHECK(refusal(write_of("Node Control/Rebirth", std::uint64_t{1})) ==
        "refused Node Control/Rebirth=the value is of another type");
  CHECK(refusal(write_of("Node Control/Rediscover", true, {}, DataType::string)) ==
        "refused Node Control/Rediscover=datatype 12 is not that of the metric");
  CHECK(refusal(write_of("Node Control/Rediscover", MetricValue{})) == "refused Node Control/Rediscover=has no value");
  for (const char* const interval : {"", "5", "0s", "999ms", "61m", "-5s", "5s; reboot"})
    CHECK(
        refusal(write_of("Node Control/Interval", std::string(interval))).starts_with("refused Node Control/Interval"));
  CHECK(refusal(write_of("Node Control/Interval", std::string(300, '1'))).find("longer than 256") != std::string::npos);
  CHECK(edge.session.counts().refused == 21);
  CHECK(edge.session.counts().rebirths == 0);
}

TEST_CASE("commands: garbage, floods, other nodes' topics and commands to devices are refused and reported") {
  Born edge(allowing({"rediscover"}));
  const auto refusals = [&edge](std::string_view topic, const std::string& payload) {
    edge.clear();
    edge.get(topic, payload);
    CHECK(edge.sent.empty());
    return edge.done();
  };
  CHECK(refusals(kNcmd, "\xff\xff\xff") == "refused NCMD=is no Sparkplug payload: it breaks off or is damaged");
  CHECK(refusals(kNcmd, "garbage").starts_with("refused NCMD=is no Sparkplug payload"));
  CHECK(refusals(kNcmd, "") == "refused NCMD=there is nothing in it");
  CHECK(refusals(kNcmd, std::string(70'000, 'x')) ==
        "refused spBv1.0/G/NCMD/N=the message has 70000 bytes, 65536 are taken");
  CHECK(refusals("spBv1.0/G/NCMD/other", rebirth_request()) ==
        "refused spBv1.0/G/NCMD/other=the topic is not one of this node");
  CHECK(refusals("spBv1.0/other/NCMD/N", rebirth_request()).starts_with("refused spBv1.0/other/NCMD/N"));
  CHECK(refusals("spBv1.0/G/NCMD/N/x", rebirth_request()).starts_with("refused spBv1.0/G/NCMD/N/x"));
  CHECK(refusals("spBv1.0/G/DCMD/N/disk:sda", rebirth_request()) ==
        "refused spBv1.0/G/DCMD/N/disk:sda=devices take no commands");
  CHECK(refusals("spBv1.0/G/DCMD/N/a/b", rebirth_request()).find("not one of this node") != std::string::npos);
  CHECK(refusals("x\x1b[2J", "").find("\\x1b") != std::string::npos);

  PayloadWriter many(edge.now);
  const MetricValue yes = true;
  for (int i = 0; i < 200; ++i)
    many.add({.name = "no such", .alias = {}, .time = {}, .type = {}, .historical = false, .value = &yes, .unit = {}});
  const std::uint64_t before = edge.session.counts().refused;
  edge.clear();
  edge.get(kNcmd, std::move(many).finish(0));
  CHECK(edge.other.size() == SparkplugSession::kMostReported);
  CHECK(edge.session.counts().refused == before + 200);

  PayloadWriter more(edge.now);
  for (int i = 0; i < 257; ++i)
    more.add({.name = "a", .alias = {}, .time = {}, .type = {}, .historical = false, .value = &yes, .unit = {}});
  CHECK(refusals(kNcmd, std::move(more).finish(0)) ==
        "refused NCMD=is no Sparkplug payload: it has more than 256 metrics");
}

TEST_CASE("commands: the same command twice is done twice, and one before the birth is refused") {
  SparkplugEdge edge(allowing({"rediscover"}));
  edge.connect();  // metrics are not known yet
  edge.get(kNcmd, write_of("Node Control/Rediscover", true));
  CHECK(edge.done() == "refused NCMD=the node has not been born yet");
  edge.metrics({});
  edge.clear();
  edge.get(kNcmd, write_of("Node Control/Rediscover", true));
  edge.get(kNcmd, write_of("Node Control/Rediscover", true));
  CHECK(edge.done() == "command rediscover=true, command rediscover=true");
}

TEST_CASE("commands: writes behind one that ended the session are left") {
  Born edge(allowing({"next-server", "rediscover"}));
  PayloadWriter both(edge.now);
  const MetricValue yes = true;
  for (const char* const name : {"Node Control/Next Server", "Node Control/Rediscover"})
    both.add({.name = name, .alias = {}, .time = {}, .type = {}, .historical = false, .value = &yes, .unit = {}});
  edge.get(kNcmd, std::move(both).finish(0));
  CHECK(edge.done() == "disconnect 4");
}
