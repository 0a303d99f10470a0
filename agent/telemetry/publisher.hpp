// Telemetry on its way: takes records and metrics, keeps them in the spool, and brings them to one of the brokers,
// as Sparkplug, as plain messages, or both on one connection.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/mqtt.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/telemetry/metric_set.hpp"
#include "agent/telemetry/record.hpp"
#include "agent/telemetry/sparkplug_session.hpp"
#include "agent/telemetry/spool.hpp"

namespace omnitide::telemetry {

struct PlainOptions {
  bool enabled = false;
  // Topics with everything but the stream filled in; a stream whose topic is empty is not published.
  std::array<std::string, kStreams> topics;
  std::string status_topic;  // retained "online", and "offline" by will or at a stop; empty: none. QoS 1
};

struct PublisherOptions {
  std::string folder;                    // STATE_DIR/telemetry: spool, aliases, session state
  std::vector<io::MqttOptions> brokers;  // in order of preference, without wills
  std::optional<SparkplugOptions> sparkplug;
  PlainOptions plain;
  SpoolLimits spool;
  std::chrono::milliseconds sync_interval{1'000};
  std::chrono::milliseconds backoff_base{1'000}, backoff_cap{120'000};
  std::uint32_t drain_records_per_second = 5'000;  // history beside live data; 0: as fast as the broker takes it
  std::chrono::milliseconds max_silence{300'000};  // a metric that does not change is told again after this
  std::vector<std::pair<std::string, std::string>> dead_bands;  // glob of the name, "0.5" or "2%"; first match counts
};

struct PublisherStatus {
  enum class Link : std::uint8_t { stopped, waiting, connecting, connected };
  Link link = Link::stopped;
  std::string broker;   // host:port of the one connected to or tried
  std::string problem;  // why it is not connected, as a sentence
  WallTime since{};     // of `link`
  std::optional<WallTime> next_attempt;
  std::optional<SparkplugSession::Phase> sparkplug;
  std::uint64_t bd_seq = 0;
  SparkplugCounts sparkplug_counts;
  std::uint64_t metrics = 0, devices = 0;                                                     // in the last birth
  std::array<std::uint64_t, kStreams> published{}, confirmed{}, republished{}, historical{};  // records since the start
  std::uint64_t connects = 0, bytes_out = 0;                                                  // topics and payloads
  std::uint64_t backing_off = 0;  // records that a broker refused for now: they stay, and are tried again
  SpoolStatus spool;
};

// Used on the loop only.
class Publisher {
 public:
  struct Handlers {
    std::function<void()> on_change;                                      // the link or the phase changed
    std::function<void(std::string name, std::string value)> on_command;  // allowed by SparkplugOptions::commands
    // Each message handed to the broker, for `telemetry tail`; may be empty.
    std::function<void(std::string_view topic, std::string_view payload)> on_sent;
  };
  Publisher(boost::asio::io_context& context, io::WorkerPool& pool, PublisherOptions options, Handlers handlers);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  [[nodiscard]] Result<> start();  // opens the folder, then connects in the background
  // Intentional: deaths, DISCONNECT, and what is not confirmed stays in the spool.
  [[nodiscard]] boost::asio::awaitable<void> stop(std::chrono::milliseconds patience);

  // A record of a plain stream, encoded. An error: it was dropped, and is counted.
  Result<RecordNumber> record(Stream stream, WallTime time, std::string payload);
  // Everything that Sparkplug shall show now. What changed enough becomes records of Stream::sparkplug.
  void metrics(std::vector<NamedMetric> all, WallTime time);
  void rebirth();  // as if the host had asked
  // The present value of what a host may write ("interval", "deadband"), to be shown in births.
  void setting(std::string_view command, std::string value);
  void set_dead_bands(std::vector<std::pair<std::string, std::string>> dead_bands);
  [[nodiscard]] PublisherStatus status() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::telemetry
