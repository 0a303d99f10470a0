// What the publisher is told, from the configuration and the secrets that it names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/config/telemetry_config.hpp"
#include "agent/telemetry/publisher.hpp"

namespace omnitide::daemon {

struct TelemetryPlace {
  std::string state_dir;
  std::string node_id;                // default of {node}
  std::string credentials_directory;  // $CREDENTIALS_DIRECTORY; empty: systemd handed none over
};

// {node} of topics, and the client id.
[[nodiscard]] std::string telemetry_node(const config::TelemetryConfig& config, const TelemetryPlace& place);
[[nodiscard]] std::string telemetry_client(const config::TelemetryConfig& config, const TelemetryPlace& place);
[[nodiscard]] std::string telemetry_folder(const std::string& state_dir);

// The topic of a stream, or of "status".
[[nodiscard]] std::string plain_topic(const config::TelemetryConfig& config, const TelemetryPlace& place,
                                      std::string_view stream);

// Those of the configuration, and behind them those that hold unless it says otherwise.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> all_dead_bands(const config::SparkplugConfig& config);

// Reads the files that hold secrets. failed_precondition: the registration has no certificate yet.
[[nodiscard]] Result<telemetry::PublisherOptions> publisher_options(const config::TelemetryConfig& config,
                                                                    const TelemetryPlace& place);

}  // namespace omnitide::daemon
