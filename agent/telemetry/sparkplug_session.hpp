// A Sparkplug B 3.0 edge node as a state machine without I/O: given what came and the time, it says what to publish.
// https://sparkplug.eclipse.org/specification/version/3.0/
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

struct SparkplugOptions {
  std::string group = "omnitide", node;
  std::string primary_host;  // empty: none is waited for
  std::size_t brokers = 1;
  std::chrono::milliseconds rebirth_interval{60'000};  // births that a changed set of metrics causes: one in this time
  std::vector<std::string>
      commands;  // that a host may write: "rebirth", "rediscover", "interval", "deadband", "reboot"
};

// To be sent, in order.
struct SparkplugMessage {
  std::string topic, payload;
  std::uint8_t qos = 0;
  bool retain = false;
};

// What the session wants done. The driver does it in order.
struct SparkplugAction {
  enum class Kind : std::uint8_t {
    publish,
    went_online,  // births are out: live and historical data may be published
    disconnect,   // DDEATH and NDEATH are out: DISCONNECT with `reason`, then connect again when told
    next_broker,  // after a disconnect: connect to the next broker of the list
    command,      // an allowed write: `name` and `value`, e.g. "interval" "5s"
    refused,      // a write that is not allowed or makes no sense: `name`, `value`: why. To be logged and counted
  };
  Kind kind = Kind::publish;
  SparkplugMessage message;
  std::uint8_t reason = 0;
  std::string name, value;
};

// What must survive a restart: saved by the driver before the CONNECT that uses it.
struct SparkplugState {
  std::uint64_t next_bd_seq = 0;                // of the next CONNECT, 0 to 255
  std::optional<std::uint64_t> host_timestamp;  // of the last STATE heard
  bool host_online = false;
  bool operator==(const SparkplugState&) const = default;
};

struct SparkplugCounts {
  std::uint64_t births = 0, rebirths = 0, deaths = 0, refused = 0, stale_states = 0;
};

class SparkplugSession {
 public:
  enum class Phase : std::uint8_t { disconnected, waiting_for_host, online };

  SparkplugSession(SparkplugOptions options, SparkplugState state);

  // Before each CONNECT: counts bdSeq. The will, and what state() must be saved before.
  [[nodiscard]] SparkplugMessage connecting();
  [[nodiscard]] std::vector<std::string> filters() const;  // to subscribe to, at QoS 1, before connected()
  void connected(WallTime now);                            // CONNACK and SUBACK came
  void disconnected();                                     // lost, or closed
  void message(std::string_view topic, std::string_view payload, WallTime now);
  void tick(WallTime now);  // when next_tick() has come: a delayed rebirth
  // The whole set of metrics with their present values, by device, each with its alias. A change of the set, or of a
  // device, leads to births and deaths; values alone lead to nothing (they come by data()).
  struct Known {
    std::uint64_t alias = 0;
    NamedMetric metric;
  };
  void set_metrics(std::vector<Known> metrics, WallTime now);
  // While online: reports as NDATA and DDATA, each with its seq. Historical ones carry is_historical; several may
  // become one message. Aliases outside the last birth are left out and counted.
  [[nodiscard]] std::vector<SparkplugMessage> data(std::span<const Report> reports, bool historical);
  void stop(WallTime now);  // DDEATH, NDEATH and a disconnect

  [[nodiscard]] std::vector<SparkplugAction> take_actions();
  [[nodiscard]] std::optional<WallTime> next_tick() const;
  [[nodiscard]] Phase phase() const;
  [[nodiscard]] const SparkplugState& state() const;
  [[nodiscard]] const SparkplugCounts& counts() const;
};

}  // namespace omnitide::telemetry
