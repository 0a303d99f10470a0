// A SparkplugSession with a driver that does what it says at once, and a follower that listens.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/telemetry/sparkplug_session.hpp"
#include "tests/harness/sparkplug_follower.hpp"

namespace omnitide::test {

inline constexpr std::string_view kBroker = "broker.example:1883";

[[nodiscard]] inline WallTime at_ms(std::int64_t milliseconds) {
  return WallTime{std::chrono::milliseconds{milliseconds}};
}

[[nodiscard]] inline telemetry::KnownMetric known(std::uint64_t alias, std::string device, std::string name,
                                                  telemetry::MetricValue value, std::string unit = "") {
  using telemetry::DataType;
  constexpr DataType kTypes[] = {DataType::double_, DataType::int64,   DataType::uint64,
                                 DataType::double_, DataType::boolean, DataType::string};
  const DataType type = kTypes[value.index()];
  return {alias, {std::move(device), std::move(name), type, std::move(value), std::move(unit)}};
}

struct SparkplugEdge {
  telemetry::SparkplugSession session;
  SparkplugFollower host{"G", "N"};
  WallTime now = at_ms(1'700'000'000'000);
  std::vector<telemetry::SparkplugMessage> sent;  // since clear()
  std::vector<telemetry::SparkplugAction> other;  // all but publish, since clear()
  telemetry::SparkplugMessage will;

  explicit SparkplugEdge(telemetry::SparkplugOptions options, telemetry::SparkplugState state = {})
      : session(named(std::move(options)), std::move(state)) {
    host.keep_values(true);
  }

  static telemetry::SparkplugOptions named(telemetry::SparkplugOptions options) {
    options.group = "G";
    options.node = "N";
    return options;
  }

  void pump() {
    using Kind = telemetry::SparkplugAction::Kind;
    for (telemetry::SparkplugAction& action : session.take_actions()) {
      if (action.kind == Kind::publish)
        send(std::move(action.message));
      else
        other.push_back(std::move(action));
    }
  }
  void send(telemetry::SparkplugMessage message) {
    host.message(message.topic, message.payload, message.qos, message.retain);
    sent.push_back(std::move(message));
  }
  void open(std::string_view broker = kBroker) {
    will = session.connecting(broker);
    host.will(will.topic, will.payload, will.qos, will.retain);
  }
  void connect(std::string_view broker = kBroker) {
    open(broker);
    session.connected(now);
    pump();
  }
  // The connection breaks: the broker tells the will.
  void lose() {
    session.disconnected();
    host.message(will.topic, will.payload, will.qos, will.retain);
  }
  void metrics(std::vector<telemetry::KnownMetric> all) {
    session.set_metrics(std::move(all), now);
    pump();
  }
  void get(std::string_view topic, std::string_view payload) {
    session.message(topic, payload, now);
    pump();
  }
  void state(bool online, std::uint64_t timestamp) {
    get("spBv1.0/STATE/H", std::string("{\"online\":") + (online ? "true" : "false") +
                               ",\"timestamp\":" + std::to_string(timestamp) + "}");
  }
  void data(std::vector<telemetry::Report> reports, bool historical = false) {
    for (telemetry::SparkplugMessage& message : session.data(reports, historical, now))
      send(std::move(message));
  }
  void wait(std::chrono::milliseconds time) {
    now += time;
    while (session.next_tick() && *session.next_tick() <= now) {
      const auto before = session.next_tick();
      session.tick(now);
      pump();
      if (session.next_tick() == before) break;
    }
  }
  void clear() {
    sent.clear();
    other.clear();
  }
  // "NBIRTH DBIRTH disk:sda ...": what was sent since clear(), without group and node.
  [[nodiscard]] std::string types() const {
    std::string out;
    for (const telemetry::SparkplugMessage& message : sent) {
      std::string topic = message.topic.substr(std::string_view("spBv1.0/G/").size());
      const std::size_t node = topic.find("/N");
      const std::string device = topic.size() > node + 2 ? " " + topic.substr(node + 3) : "";
      out += (out.empty() ? "" : ", ") + topic.substr(0, node) + device;
    }
    return out;
  }
  // The kinds of the other actions since clear(), with what they say.
  [[nodiscard]] std::string done() const {
    constexpr const char* kNames[] = {"publish", "online", "disconnect", "next", "command", "refused"};
    std::string out;
    for (const telemetry::SparkplugAction& action : other) {
      out += (out.empty() ? "" : ", ") + std::string(kNames[static_cast<std::size_t>(action.kind)]);
      if (action.kind == telemetry::SparkplugAction::Kind::disconnect) out += " " + std::to_string(action.reason);
      if (!action.name.empty()) out += " " + action.name + "=" + action.value;
    }
    return out;
  }
  [[nodiscard]] std::string problems() const {
    std::string out;
    for (const std::string& problem : host.problems())
      out += problem + "\n";
    return out;
  }
};

}  // namespace omnitide::test
