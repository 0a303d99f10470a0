// The publisher with Sparkplug on: a host that follows the messages rebuilds what the node said.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "agent/telemetry/sparkplug_payload.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/peer.hpp"
#include "tests/harness/publisher_node.hpp"
#include "tests/harness/scripted_broker.hpp"
#include "tests/harness/sparkplug_follower.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kSparkplug = static_cast<std::size_t>(Stream::sparkplug);

PublisherOptions options_of(const TempTree& tree, const std::vector<std::uint16_t>& ports) {
  PublisherOptions out = publisher_options(tree, ports);
  out.plain = {};
  out.sparkplug.emplace();
  out.sparkplug->group = "G";
  out.sparkplug->node = "N";
  out.sparkplug->rebirth_interval = 200ms;
  out.sparkplug->commands = {"interval"};
  out.max_silence = 0ms;
  return out;
}

NamedMetric metric(std::string device, std::string name, double value) {
  return {.device = std::move(device), .name = std::move(name), .type = DataType::double_, .value = value, .unit = ""};
}

std::uint64_t bd_seq_of(const std::string& will) {
  const Result<PayloadView> payload = read_payload(will, 10);
  REQUIRE(payload);
  REQUIRE(payload->metrics.size() == 1);
  return std::get<std::uint64_t>(payload->metrics[0].value);
}

// What the host has after all that came.
SparkplugFollower follow(const SeenByBroker& seen) {
  SparkplugFollower host("G", "N");
  host.keep_values(true);
  std::size_t connection = 0;
  for (const SeenPublish& one : seen.publishes) {
    while (connection < one.connection) {
      ++connection;
      for (const SeenConnect& connect : seen.connects) {
        if (connect.connection != connection) continue;
        host.will(connect.will_topic, connect.will_payload, connect.will_qos, connect.will_retain);
      }
    }
    host.message(one.topic, one.payload, one.qos, one.retain);
  }
  return host;
}

std::vector<double> told(const SparkplugFollower& host, const std::string& name, bool historical) {
  std::vector<double> out;
  for (const auto& one : host.values()) {
    if (one.name == name && one.historical == historical && std::holds_alternative<double>(one.value))
      out.push_back(std::get<double>(one.value));
  }
  return out;
}

}  // namespace

TEST_CASE("births, data and deaths reach the host, and data leaves the spool by a fence") {
  const TempTree tree;
  const ScriptedBroker broker;
  Loop loop;
  PublisherNode node(loop, options_of(tree, {broker.port()}));
  REQUIRE(node.connected());
  for (int i = 0; i < 30; ++i) {
    node.publisher->metrics({metric("", "load", i), metric("disk:sda", "bytes", i * 10)}, wall_now());
    loop.run_for(10ms);
  }
  REQUIRE(node.empties(5s));
  CHECK(broker.seen().subscribes.size() >= 2);  // the session's, and fences
  CHECK(broker.seen().subscribes.size() < 8);   // but not one for each message
  const PublisherStatus status = node.publisher->status();
  CHECK(status.sparkplug == SparkplugSession::Phase::online);
  CHECK((status.metrics == 2 && status.devices == 1));
  CHECK(status.confirmed[kSparkplug] == status.published[kSparkplug]);
  SparkplugFollower host = follow(broker.seen());
  INFO(host.text());
  CHECK(host.problems().empty());
  CHECK(host.online());
  CHECK(std::get<double>(host.find("", "load")->value) == 29);
  CHECK(std::get<double>(host.find("disk:sda", "bytes")->value) == 290);
  node.stop();
  const SeenByBroker seen = broker.seen();
  host = follow(seen);
  CHECK(host.problems().empty());
  CHECK(!host.online());
  REQUIRE(seen.disconnects.size() == 1);
  CHECK(seen.disconnects[0].reason == 0x04);
}

TEST_CASE("Sparkplug: will, subscriptions at QoS 1, then births; a stop says deaths and DISCONNECT 0x04") {
  const TempTree tree;
  ScriptedBroker broker;
  Loop loop;
  PublisherNode node(loop, options_of(tree, {broker.port()}));
  node.publisher->metrics({metric("", "load", 1), metric("disk:sda", "bytes", 1)}, wall_now());
  REQUIRE(loop.until([&broker] { return broker.seen().publish_count >= 2; }));
  SeenByBroker seen = broker.seen();
  const SeenConnect& connect = seen.connects.at(0);
  CHECK(connect.clean);
  CHECK((connect.will_topic == "spBv1.0/G/NDEATH/N" && connect.will_qos == 1 && !connect.will_retain));
  CHECK(std::ranges::count(seen.subscribes.at(0).filters, "spBv1.0/G/NCMD/N") == 1);
  CHECK((seen.subscribes.at(0).options & 3U) == 1);
  CHECK(seen.subscribes.at(0).after_publishes == 0);
  CHECK(seen.publishes.at(0).topic == "spBv1.0/G/NBIRTH/N");
  CHECK(seen.publishes.at(1).topic == "spBv1.0/G/DBIRTH/N/disk:sda");
  node.stop();
  seen = broker.seen();
  CHECK(seen.publishes.back().topic == "spBv1.0/G/NDEATH/N");
  CHECK(seen.publishes.at(seen.publishes.size() - 2).topic == "spBv1.0/G/DDEATH/N/disk:sda");
  REQUIRE(seen.disconnects.size() == 1);
  CHECK(seen.disconnects[0].reason == 0x04);
  CHECK(seen.disconnects[0].after_publishes == seen.publish_count);
}

TEST_CASE("bdSeq counts CONNECTs over connections and restarts, and is on disk before the CONNECT") {
  const TempTree tree;
  BrokerRules rules;
  rules.connack = 0x88;
  ScriptedBroker broker(rules);
  Loop loop;
  std::optional<std::uint64_t> last;
  for (int restart = 0; restart < 3; ++restart) {
    PublisherNode node(loop, options_of(tree, {broker.port()}));
    broker.forget();
    REQUIRE(loop.until([&broker] { return broker.seen().connects.size() >= 3; }));
    const std::string will = broker.seen().connects.back().will_payload;
    const std::string saved = [&tree] {
      std::ifstream file(tree.path() + "/telemetry/sparkplug");
      return std::string(std::istreambuf_iterator<char>(file), {});
    }();
    const Result<SparkplugState> state = decode_state(saved);
    REQUIRE(state);
    CHECK(state->next_bd_seq > bd_seq_of(will));  // the next CONNECT may be on its way
    if (last) CHECK(node.publisher->status().bd_seq > *last);
    last = node.publisher->status().bd_seq;
  }
  std::set<std::string> wills;
  for (const SeenConnect& connect : broker.seen().connects) {
    CHECK(connect.will_topic == "spBv1.0/G/NDEATH/N");
    CHECK((connect.will_qos == 1 && !connect.will_retain));
    wills.insert(connect.will_payload);
  }
  CHECK(wills.size() == broker.seen().connects.size());
}

TEST_CASE("what was told while there was no broker comes as history, in order, with its own time") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  PublisherOptions options = options_of(tree, {port});
  const WallTime long_ago = wall_now() - 24h;
  {
    PublisherNode node(loop, options);
    for (int i = 1; i <= 200; ++i)
      node.publisher->metrics({metric("", "load", i), metric("disk:sda", "bytes", i)}, long_ago + i * 1s);
    node.stop();
  }
  const ScriptedBroker broker({}, port);
  PublisherNode node(loop, options);
  node.publisher->metrics({metric("", "load", 1'000), metric("disk:sda", "bytes", 1'000)}, wall_now());
  REQUIRE(node.empties());
  const SparkplugFollower host = follow(broker.seen());
  INFO(host.text());
  CHECK(host.problems().empty());
  std::vector<double> expected;
  for (int i = 1; i <= 200; ++i)
    expected.push_back(i);
  std::vector<double> load = told(host, "load", true), bytes = told(host, "bytes", true);
  std::erase(load, 1'000);
  std::erase(bytes, 1'000);
  CHECK(load == expected);
  CHECK(bytes == expected);
  for (const auto& one : host.values()) {
    if (one.historical && std::get<double>(one.value) == 7)
      CHECK(one.timestamp == static_cast<std::uint64_t>((long_ago + 7s).time_since_epoch().count()));
  }
  CHECK(std::get<double>(host.find("", "load")->value) == 1'000);
}

TEST_CASE("history of a metric that is gone is sent too, and then the metric goes") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  const PublisherOptions options = options_of(tree, {port});
  {
    PublisherNode node(loop, options);
    for (int i = 1; i <= 50; ++i)
      node.publisher->metrics({metric("", "load", i), metric("disk:old", "bytes", i)}, wall_now() - 1h + i * 1s);
    node.stop();
  }
  const ScriptedBroker broker({}, port);
  PublisherNode node(loop, options);
  node.publisher->metrics({metric("", "load", 1'000)}, wall_now());
  REQUIRE(node.empties());
  REQUIRE(loop.until([&broker] {
    const SparkplugFollower host = follow(broker.seen());
    return host.devices().contains("disk:old") && !host.devices().at("disk:old").online;
  }));
  const SparkplugFollower host = follow(broker.seen());
  INFO(host.text());
  CHECK(host.problems().empty());
  CHECK(told(host, "bytes", true).size() == 50);
  CHECK(host.online());
}

TEST_CASE("names that come and go for years leave room for new ones") {
  const TempTree tree;
  const ScriptedBroker broker;
  Loop loop;
  PublisherOptions options = options_of(tree, {broker.port()});
  options.sparkplug->rebirth_interval = 1ms;
  PublisherNode node(loop, std::move(options));
  const auto unconfirmed = [&node] {
    return node.publisher->status().spool.streams[static_cast<std::size_t>(Stream::sparkplug)].records;
  };
  constexpr std::size_t kRound = 8'000, kRounds = 5;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::vector<NamedMetric> all{metric("", "stays", static_cast<double>(round))};
    for (std::size_t i = 0; i < kRound; ++i)
      all.push_back(metric("", "m" + std::to_string(round * kRound + i), 1));
    node.publisher->metrics(std::move(all), wall_now());
    REQUIRE(loop.until([&] { return unconfirmed() == 0; }));
  }
  const AliasTable table = AliasTable::load(tree.path() + "/telemetry/aliases").value();
  CHECK(table.size() < AliasTable::kMost);
  std::size_t last = 0;
  for (std::uint64_t alias = AliasTable::kFirst; alias < 3 * AliasTable::kMost; ++alias) {
    const AliasTable::Entry* entry = table.find(alias);
    if (entry != nullptr && entry->name == "m" + std::to_string(kRounds * kRound - 1)) ++last;
    if (entry != nullptr && entry->name == "stays") CHECK(alias == AliasTable::kFirst);
  }
  CHECK(last == 1);
}

TEST_CASE("data of QoS 0 that a dying connection swallowed is sent again as history") {
  const TempTree tree;
  ScriptedBroker broker;
  Loop loop;
  PublisherNode node(loop, options_of(tree, {broker.port()}));
  REQUIRE(node.connected());
  node.publisher->metrics({metric("", "load", 0)}, wall_now());
  REQUIRE(node.empties());
  // Taken by the socket, never read by the broker.
  broker.change([](BrokerRules& now) { now.read = false; });
  for (int i = 1; i <= 20; ++i) {
    node.publisher->metrics({metric("", "load", i)}, wall_now());
    loop.run_for(2ms);
  }
  CHECK(node.backlog() == 20);
  broker.cut();
  broker.change([](BrokerRules& now) { now.read = true; });
  REQUIRE(node.empties());
  const SparkplugFollower host = follow(broker.seen());
  CHECK(host.problems().empty());
  std::vector<double> expected;
  for (int i = 1; i <= 20; ++i)
    expected.push_back(i);
  std::vector<double> load = told(host, "load", true);
  std::erase(load, 0);  // is in the birth too, which may be a moment younger
  CHECK(load == expected);
  CHECK(node.publisher->status().republished[kSparkplug] == 20);
}

TEST_CASE("a host's command reaches the daemon when it is allowed, and garbage harms nothing") {
  const TempTree tree;
  ScriptedBroker broker;
  Loop loop;
  PublisherNode node(loop, options_of(tree, {broker.port()}));
  REQUIRE(node.connected());
  node.publisher->metrics({metric("", "load", 1)}, wall_now());
  REQUIRE(node.empties());
  broker.publish("spBv1.0/G/NCMD/N", "\xFF\xFF garbage");
  broker.publish("spBv1.0/G/NCMD/OTHER", "x");
  broker.publish("something/else", "");
  REQUIRE(loop.until([&node] { return node.publisher->status().sparkplug_counts.refused > 0; }));
  node.publisher->metrics({metric("", "load", 2)}, wall_now());
  REQUIRE(node.empties());
  CHECK(node.commands.empty());
  CHECK(node.publisher->status().connects == 1);
  node.publisher->rebirth();
  REQUIRE(loop.until([&node] { return node.publisher->status().sparkplug_counts.births == 2; }));
}

TEST_CASE("the host's STATE decides, on each broker: offline means deaths and the next one") {
  const TempTree tree;
  ScriptedBroker first, second;
  Loop loop;
  PublisherOptions options = options_of(tree, {first.port(), second.port()});
  options.sparkplug->primary_host = "H";
  PublisherNode node(loop, options);
  REQUIRE(node.connected());
  node.publisher->metrics({metric("", "load", 1)}, wall_now());
  loop.run_for(50ms);
  CHECK(node.publisher->status().sparkplug == SparkplugSession::Phase::waiting_for_host);
  CHECK(first.seen().publish_count == 0);
  const auto state = [](bool online, int time) {
    return std::string("{\"online\":") + (online ? "true" : "false") + ",\"timestamp\":" + std::to_string(time) + "}";
  };
  first.publish("spBv1.0/STATE/H", state(true, 1'000), 1, true);
  REQUIRE(loop.until([&node] { return node.publisher->status().sparkplug == SparkplugSession::Phase::online; }));
  REQUIRE(node.empties());
  first.publish("spBv1.0/STATE/H", state(false, 2'000), 1, true);
  REQUIRE(loop.until([&second] { return !second.seen().connects.empty(); }));
  CHECK(first.seen().disconnects.size() == 1);
  CHECK(first.seen().publishes.back().topic == "spBv1.0/G/NDEATH/N");
  REQUIRE(loop.until([&second] { return !second.seen().subscribes.empty(); }));
  loop.run_for(50ms);
  second.publish("spBv1.0/STATE/H", state(true, 10), 1, true);
  REQUIRE(loop.until([&node] { return node.publisher->status().sparkplug == SparkplugSession::Phase::online; }));
  CHECK(loop.until([&second] { return follow(second.seen()).online(); }));
}
