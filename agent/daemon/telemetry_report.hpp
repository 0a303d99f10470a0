// Telemetry's state as the message of telemetry_status.proto, and as Samples.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/config/telemetry_config.hpp"
#include "agent/daemon/telemetry_feed.hpp"
#include "agent/model/sample_batch.hpp"
#include "agent/telemetry/publisher.hpp"

namespace omnitide::node::v1 {
class TelemetrySpool;
class TelemetryStatus;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

// Totals of the last minute, for rates.
class TelemetryRates {
 public:
  void note(SteadyTime now, const telemetry::PublisherStatus& status);
  struct PerSecond {
    std::array<double, telemetry::kStreams> appended{}, confirmed{};
    double bytes = 0;
  };
  [[nodiscard]] PerSecond rates() const;  // zeros until there are two totals

 private:
  struct Totals {
    SteadyTime time{};
    std::array<std::uint64_t, telemetry::kStreams> appended{}, confirmed{};
    std::uint64_t bytes = 0;
  };
  std::deque<Totals> noted_;
};

struct TelemetryAbout {
  std::string group, node, client_id, folder;
  std::vector<std::string> brokers;  // URLs
  std::uint64_t spool_limit = 0;
  std::chrono::milliseconds interval{0};
  std::string primary_host;
};

[[nodiscard]] std::string_view link_name(telemetry::PublisherStatus::Link link);
[[nodiscard]] std::string_view phase_name(telemetry::SparkplugSession::Phase phase);

void fill(const TelemetryAbout& about, const telemetry::PublisherStatus& status, const TelemetryRates& rates,
          node::v1::TelemetryStatus& out);

[[nodiscard]] std::vector<const model::MetricDescriptor*> telemetry_descriptors();
void add_telemetry_samples(const telemetry::PublisherStatus& status, const TelemetryFeed::Lost& lost,
                           std::uint64_t spool_limit, WallTime now, model::SampleBatch& out);

}  // namespace omnitide::daemon
