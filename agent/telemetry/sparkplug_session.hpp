// A Sparkplug B 3.0 edge node as a state machine without I/O: given what came and the time, it says what to publish.
// https://sparkplug.eclipse.org/specification/version/3.0/
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

struct ControlMetric;

struct SparkplugOptions {
  std::string group = "omnitide", node;  // is_sparkplug_id() of metric_name.hpp
  std::string primary_host;              // empty: none is waited for
  std::size_t brokers = 1;
  std::chrono::milliseconds rebirth_interval{60'000};  // births that a changed set of metrics causes: one in this time
  std::chrono::milliseconds host_patience{30'000};     // of several brokers, one without any STATE is left after this
  std::vector<std::string>
      commands;  // that a host may write: "rediscover", "interval", "deadband", "reboot", "next-server"
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
  std::uint8_t reason = 0;  // of MQTT 5; in 3.1.1 there is none
  std::string name, value;
};

// The last STATE of the primary host on one broker: a host has another timestamp on each.
struct HostState {
  std::string broker;
  std::uint64_t timestamp = 0;
  bool online = false;
  bool operator==(const HostState&) const = default;
};

// What must survive a restart: saved by the driver before the CONNECT that uses it, and when a STATE changed it.
struct SparkplugState {
  std::uint64_t next_bd_seq = 0;  // of the next CONNECT, 0 to 255
  std::vector<HostState> hosts;   // of the last eight brokers
  bool operator==(const SparkplugState&) const = default;
};

// As a small text file. decode_state: data_loss for what encode_state() did not write.
[[nodiscard]] std::string encode_state(const SparkplugState& state);
[[nodiscard]] Result<SparkplugState> decode_state(std::string_view text);

struct SparkplugCounts {
  std::uint64_t births = 0;          // NBIRTH
  std::uint64_t rebirths = 0;        // of them, those that a host or a changed set asked for
  std::uint64_t delayed_births = 0;  // births of changed sets and hosts' requests that had to wait for their turn
  std::uint64_t device_births = 0, device_deaths = 0;
  std::uint64_t deaths = 0;           // NDEATH that the session published
  std::uint64_t refused = 0;          // writes and messages
  std::uint64_t stale_states = 0;     // STATE older than the one before
  std::uint64_t unknown_aliases = 0;  // values left out by data()
};

class SparkplugSession {
 public:
  enum class Phase : std::uint8_t { disconnected, waiting_for_host, waiting_for_metrics, online };

  static constexpr std::size_t kLargestCommand = 65'536;  // bytes of a message to the node; a larger one is refused
  static constexpr std::size_t kMostWrites = 256;         // metrics of one command
  static constexpr std::size_t kMostReported = 16;        // refusals of one message that become actions
  // Requests of hosts for a rebirth: five at once, then one in ten seconds. Others wait, all together for one birth.
  static constexpr unsigned kRebirthBurst = 5;
  static constexpr std::chrono::milliseconds kRebirthEvery{10'000};

  SparkplugSession(SparkplugOptions options, SparkplugState state);

  // Before each CONNECT to the broker of this name (host:port): counts bdSeq. The will, and what state() must be saved
  // before.
  [[nodiscard]] SparkplugMessage connecting(std::string_view broker);
  [[nodiscard]] std::vector<std::string> filters() const;  // to subscribe to, at QoS 1, before connected()
  void connected(WallTime now);                            // CONNACK and SUBACK came
  void disconnected();                                     // lost, or closed
  void message(std::string_view topic, std::string_view payload, WallTime now);  // also before connected()
  void tick(WallTime now);  // when next_tick() has come: a delayed birth, a host that does not show itself
  // The whole set of metrics with their present values, by device, each with its alias. A change of the set, or of a
  // device, leads to births and deaths; values alone lead to nothing (they come by data()).
  using Known = KnownMetric;
  // A name twice with two aliases, since its type changed: the first is born, and data() turns numbers under the other
  // alias into its type.
  void set_metrics(std::vector<Known> metrics, WallTime now);
  // The present value of what a host may write, "interval" or "deadband", to be shown.
  void setting(std::string_view command, std::string value, WallTime now);
  // While online: reports as NDATA and DDATA, each with its seq. Several of a device may become one message, in their
  // order. Historical ones carry is_historical; so do those that are older than the values of the last birth. Aliases
  // outside the last birth are left out and counted.
  [[nodiscard]] std::vector<SparkplugMessage> data(std::span<const Report> reports, bool historical, WallTime now);
  [[nodiscard]] bool born(std::uint64_t alias) const;  // data() takes it: it, or its name, is in the last birth
  void rebirth(WallTime now);                          // as if a host had asked
  void stop(WallTime now);                             // DDEATH, NDEATH and a disconnect

  [[nodiscard]] std::vector<SparkplugAction> take_actions();
  [[nodiscard]] std::optional<WallTime> next_tick() const;
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] std::uint64_t bd_seq() const { return bd_seq_; }  // of the last CONNECT
  [[nodiscard]] const SparkplugState& state() const { return state_; }
  [[nodiscard]] const SparkplugCounts& counts() const { return counts_; }

 private:
  enum class Link : std::uint8_t { down, connecting, up };
  // The metrics of the node ("") or of a device.
  struct Group {
    std::vector<Known> metrics;        // as they shall be
    std::vector<std::uint64_t> known;  // their aliases, sorted
    std::vector<std::uint64_t> born;   // aliases of the last birth, sorted
    // Aliases of a name that another one has in the set, by another type: what came under them goes out under that one.
    struct StandIn {
      std::uint64_t alias = 0;
      DataType type = DataType::double_;
    };
    std::map<std::uint64_t, StandIn> stand_ins;
    bool alive = false;               // that birth holds
    std::optional<WallTime> born_at;  // last birth, also before a death
    WallTime values_at{};             // of the values of that birth
    [[nodiscard]] bool changed() const { return !metrics.empty() && (!alive || known != born); }
  };

  // sparkplug_birth.cpp
  void births(WallTime now);
  void show_setting(std::string_view command, WallTime now);
  void device_birth(const std::string& device, Group& group, WallTime now);
  void device_death(const std::string& device, Group& group, WallTime now);
  void deaths(WallTime now);
  [[nodiscard]] std::string birth_payload(const std::string& device, const Group& group, WallTime now);
  [[nodiscard]] std::string death_payload(std::optional<WallTime> now) const;
  [[nodiscard]] std::string topic(std::string_view type, std::string_view device = {}) const;
  void publish(std::string topic, std::string payload);
  [[nodiscard]] std::uint8_t next_seq();
  // sparkplug_command.cpp
  void command(std::string_view payload, WallTime now);
  void write(const ControlMetric& control, const MetricValue& value, WallTime now);
  void host_report(std::string_view payload, WallTime now);
  void refuse(std::string_view name, std::string why);
  [[nodiscard]] bool allowed(const ControlMetric& control) const;
  // sparkplug_session.cpp
  void take_metrics(std::vector<Known> metrics);
  void settle(Group& group);
  [[nodiscard]] static const ReportedValue& stand_in(const Group& group, const ReportedValue& told,
                                                     ReportedValue& changed);
  void proceed(WallTime now);
  void leave(WallTime now, bool next);
  void run_due(WallTime now);
  void request_rebirth(WallTime now);
  void take_token(WallTime now);
  [[nodiscard]] HostState* host_here();

  SparkplugOptions options_;
  SparkplugState state_;
  SparkplugCounts counts_;
  Phase phase_ = Phase::disconnected;
  Link link_ = Link::down;
  std::string broker_;
  std::optional<bool> host_;  // online, as heard on this connection
  std::optional<WallTime> patience_end_;
  bool have_metrics_ = false;
  WallTime metrics_at_{};
  std::map<std::string, Group, std::less<>> groups_;  // "" is always there
  std::map<std::string, std::string, std::less<>> settings_;
  std::uint64_t bd_seq_ = 0;
  std::uint8_t seq_ = 0;  // of the next message
  bool host_wants_birth_ = false, waiting_counted_ = false;
  unsigned tokens_ = kRebirthBurst;
  WallTime tokens_at_{};
  std::size_t refusals_ = 0;  // of the message at hand
  std::vector<SparkplugAction> actions_;
};

}  // namespace omnitide::telemetry
