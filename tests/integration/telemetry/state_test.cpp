// A real agent, a real mosquitto, and a host that is written anew: what the host makes of the messages is what the
// agent measures, through deaths of the agent and of the broker.
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "agent/codec/json.hpp"
#include "omnitide/node/v1/metrics.pb.h"
#include "omnitide/node/v1/telemetry.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/links.hpp"
#include "tests/harness/telemetry_node.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using test::Heard;
using test::SparkplugFollower;
using test::TelemetryNode;

namespace {

constexpr const char* kQuick = "  sparkplug.interval: 1s\n  sparkplug.dead_bands: [\"*=0\"]\n";

// A value that a host writes: field numbers of the schema, a metric with name, type and value.
std::string command(const std::string& name, unsigned type, const std::string& value) {
  const auto text = [](char field, const std::string& bytes) {
    return std::string{static_cast<char>(field << 3 | 2), static_cast<char>(bytes.size())} + bytes;
  };
  const std::string metric = text(1, name) + std::string{0x20, static_cast<char>(type)} + value;
  return text(2, metric);
}
std::string boolean_command(const std::string& name) { return command(name, 11, {0x70, 1}); }
std::string text_command(const std::string& name, const std::string& value) {
  return command(name, 12, std::string{0x7a, static_cast<char>(value.size())} + value);
}

bool is_online(const TelemetryNode& node) { return node.follow().online(); }
std::uint64_t births(const TelemetryNode& node) {
  const SparkplugFollower host = node.follow();
  return host.devices().contains("") ? host.devices().at("").births : 0;
}

// What only grows, or never moves: `metrics -o json` says of it what a host must have seen in between. By Sparkplug's
// name, of families that have one value.
std::map<std::string, double> steady_values(const TelemetryNode& node) {
  const std::set<std::string> constant{"node_memory_MemTotal_bytes", "node_memory_SwapTotal_bytes",
                                       "node_boot_time_seconds", "node_filefd_maximum"};
  node::v1::MetricFamilyList list;
  const test::Answer answer = node.ask({"metrics", "-o", "json"});
  REQUIRE(codec::from_json(answer.text, list).has_value());
  std::map<std::string, double> out;
  for (const node::v1::MetricFamily& family : list.items()) {
    const bool single = family.values_size() == 1 && family.values(0).labels().empty();
    if (single && (family.type() == "counter" || constant.contains(family.name())))
      out[family.name()] = family.values(0).value();
  }
  return out;
}

double number(const SparkplugFollower::Value& value) {
  if (const auto* real = std::get_if<double>(&value)) return *real;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* positive = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*positive);
  return std::nan("");
}

}  // namespace

TEST_CASE("a host knows what the agent measures, value by value") {
  TelemetryNode node(kQuick);
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  const std::map<std::string, double> before = steady_values(node);
  const std::size_t heard = node.heard("/NDATA/").size();
  REQUIRE(test::in_time(10s, [&] { return node.heard("/NDATA/").size() >= heard + 2; }));
  const SparkplugFollower host = node.follow();
  const std::map<std::string, double> after = steady_values(node);
  CAPTURE(node.log());
  CHECK(host.problems().empty());
  std::size_t compared = 0, changing = 0;
  for (const auto& [name, metric] : host.devices().at("").metrics) {
    if (!before.contains(name) || !after.contains(name)) continue;
    const double low = before.at(name), high = after.at(name);
    CAPTURE(name);
    CHECK(number(metric.value) >= low);
    CHECK(number(metric.value) <= high);
    ++compared;
    changing += low != high ? 1U : 0U;
  }
  CHECK(compared >= 10);
  CHECK(changing >= 2);
  CHECK(host.devices().size() >= 2);  // a disk or an interface beside the node
  CHECK(node.ask({"telemetry", "status"}).code == 0);
}

TEST_CASE("a killed agent is dead at once, and its next life is told apart") {
  TelemetryNode node(kQuick);
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  const auto first = node.follow().bd_seq();
  (void)node.end(SIGKILL);
  REQUIRE(test::in_time(10s, [&node] { return !is_online(node); }));
  CHECK(node.heard("/NDEATH/").size() == 1);
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  const SparkplugFollower host = node.follow();
  CHECK(host.bd_seq() == (*first + 1) % 256);
  CHECK(host.problems().empty());
}

TEST_CASE("an agent that ends says so") {
  TelemetryNode node(kQuick);
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  const auto begin = std::chrono::steady_clock::now();
  CHECK(node.end(SIGTERM) == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 4s);
  REQUIRE(test::in_time(5s, [&node] { return !is_online(node); }));
  const std::vector<Heard> status = node.heard("/press-7/status");
  REQUIRE_FALSE(status.empty());
  CHECK(status.front().payload == "online");
  CHECK(status.back().payload == "offline");
  const SparkplugFollower host = node.follow();
  for (const auto& [device, state] : host.devices())
    CHECK_FALSE(state.online);
  CHECK(host.problems().empty());
}

TEST_CASE("what came up without a broker comes later, as history, and no event is missing") {
  TelemetryNode node(kQuick);
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  node.stop_broker();
  const auto away = std::chrono::system_clock::now();
  for (int i = 0; i < 5; ++i) {  // each is an event of the agent: "log level set"
    CHECK(node.ask({"log-level", "http", "info"}).code == 0);
    std::this_thread::sleep_for(1s);
  }
  (void)node.end(SIGKILL);
  node.start();
  for (int i = 0; i < 3; ++i) {
    (void)test::in_time(5s, [&node] { return node.ask({"log-level", "http", "info"}).code == 0; });
    std::this_thread::sleep_for(500ms);
  }
  node.start_broker();
  REQUIRE(test::in_time(30s, [&node] { return is_online(node); }));
  const auto told = [&node] {
    std::size_t out = 0;
    for (const Heard& one : node.heard("/events")) {
      node::v1::EventsReport report;
      if (!report.ParseFromString(one.payload)) continue;
      for (const node::v1::Event& event : report.items())
        out += event.message().starts_with("log level set") ? 1U : 0U;
    }
    return out;
  };
  REQUIRE(test::in_time(20s, [&told] { return told() >= 8; }));
  const SparkplugFollower host = node.follow();
  const auto since = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(away.time_since_epoch()).count());
  std::size_t historical = 0;
  for (const SparkplugFollower::Told& value : host.values())
    historical += value.historical && value.timestamp + 2000 >= since ? 1U : 0U;
  CHECK(historical >= 10);
  CHECK(host.problems().empty());
}

TEST_CASE("a host may ask for what the operator allows, and for nothing else") {
  TelemetryNode node(std::string(kQuick) + "  sparkplug.commands: [rebirth, interval]\n");
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return is_online(node); }));
  const std::string topic = "spBv1.0/plant/NCMD/press-7";
  const std::uint64_t before = births(node);
  node.publish(topic, boolean_command("Node Control/Rebirth"));
  CHECK(test::in_time(10s, [&] { return births(node) == before + 1; }));
  node.publish(topic, text_command("Node Control/Interval", "2s"));
  const auto status = [&node] { return node.ask({"telemetry", "status", "-o", "json"}).text; };
  CHECK(test::in_time(10s, [&] { return status().find("\"intervalSeconds\": 2") != std::string::npos; }));
  node.publish(topic, boolean_command("Node Control/Reboot"));
  node.publish(topic, "\xff\xff garbage");
  CHECK(test::in_time(10s, [&] { return status().find("\"refusedCommands\": \"2\"") != std::string::npos; }));
  CHECK(node.log().find("reboot of the machine") == std::string::npos);
  CHECK(node.follow().problems().empty());
}

TEST_CASE("a primary host that is away silences the node, and an old word of it does nothing") {
  TelemetryNode node(std::string(kQuick) + "  sparkplug.primary_host: scada\n");
  const auto state = [&node](bool online, unsigned time) {
    node.publish(
        "spBv1.0/STATE/scada",
        "{\"online\":" + std::string(online ? "true" : "false") + ",\"timestamp\":" + std::to_string(time) + "}", true);
  };
  state(false, 1000);
  node.start();
  const auto phase = [&node](const std::string& wanted) {
    return test::in_time(20s, [&] {
      return node.ask({"telemetry", "status", "-o", "json"}).text.find("\"phase\": \"" + wanted) != std::string::npos;
    });
  };
  CHECK(phase("waiting for host"));
  CHECK(node.heard("/NBIRTH/").empty());
  state(true, 2000);
  CHECK(test::in_time(10s, [&node] { return is_online(node); }));
  state(false, 1500);  // older
  std::this_thread::sleep_for(1500ms);
  CHECK(is_online(node));
  state(false, 2000);  // as old: counts
  CHECK(test::in_time(10s, [&node] { return !is_online(node); }));
  CHECK(phase("waiting for host"));
  state(true, 3000);
  CHECK(test::in_time(20s, [&node] { return is_online(node); }));
  CHECK(node.follow().problems().empty());
}

TEST_CASE("an interface that is plugged in is born, one that is pulled out dies, and comes back") {
  test::in_network_namespace([] {
    test::set_up(test::index_of("lo"));
    test::add_veth_pair("plant0", "feed0");
    TelemetryNode node(kQuick);
    node.start();
    const auto device = [&node](const std::string& name) {
      const SparkplugFollower host = node.follow();
      const auto found = host.devices().find(name);
      return found == host.devices().end() ? std::optional<bool>() : std::optional<bool>(found->second.online);
    };
    REQUIRE(test::in_time(20s, [&] { return device("nic:plant0") == true; }));
    CHECK_FALSE(device("nic:lo").has_value());
    test::add_veth_pair("plant1", "feed1");
    REQUIRE(test::in_time(20s, [&] { return device("nic:plant1") == true; }));
    CHECK(node.heard("/DBIRTH/press-7/nic:plant1").size() == 1);
    CHECK(node.follow().find("nic:plant1", "node_network_receive_bytes_total") != nullptr);
    test::remove_link(test::index_of("plant1"));
    REQUIRE(test::in_time(20s, [&] { return device("nic:plant1") == false; }));
    CHECK(node.heard("/DDEATH/press-7/nic:plant1").size() == 1);
    CHECK(device("nic:plant0") == true);
    test::add_veth_pair("plant1", "feed1");  // a device is born once a minute at most
    REQUIRE(test::in_time(90s, [&] { return device("nic:plant1") == true; }));
    CAPTURE(node.log());
    CHECK(node.follow().problems().empty());
  });
}

TEST_CASE("plain mode tells facts, conditions and the metrics that Sparkplug does not have") {
  TelemetryNode node(std::string(kQuick) + "  plain.metrics_interval: 1s\n");
  node.start();
  REQUIRE(test::in_time(20s, [&node] { return !node.heard("/metrics").empty() && is_online(node); }));
  REQUIRE(test::in_time(10s, [&node] { return !node.heard("/conditions").empty(); }));
  node::v1::FactsReport facts;
  REQUIRE(facts.ParseFromString(node.heard("omnitide/v1/plant/press-7/facts").at(0).payload));
  CHECK(facts.node() == "press-7");
  CHECK(facts.facts_sha256().size() == 64);
  node::v1::ConditionsReport conditions;
  REQUIRE(conditions.ParseFromString(node.heard("/conditions").back().payload));
  CHECK(conditions.items(0).type() == "Ready");
  node::v1::MetricsReport metrics;
  REQUIRE(metrics.ParseFromString(node.heard("/press-7/metrics").back().payload));
  CHECK(metrics.items_size() > 50);
  const SparkplugFollower host = node.follow();
  for (const node::v1::MetricFamily& family : metrics.items())
    CHECK(host.find("", family.name()) == nullptr);
}
