// What the configuration says of telemetry. Part of Config in config.hpp.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace omnitide::config {

enum class MqttProtocol : std::uint8_t { v5, v311 };

struct BrokerConfig {
  std::string url;   // as it was written: "mqtts://broker.example:8883"
  std::string host;  // without brackets
  std::uint16_t port = 1883;
  bool tls = false;
  bool operator==(const BrokerConfig&) const = default;
};

// tls.certificate: the word for the certificate that the registration got.
inline constexpr std::string_view kRegistrationCertificate = "registration";
// password_file: the prefix for a credential that systemd hands over, systemd.exec(5) LoadCredential=.
inline constexpr std::string_view kCredentialPrefix = "credential:";

struct TelemetryTlsConfig {
  std::string ca_file;      // empty: the system's
  std::string certificate;  // empty, kRegistrationCertificate or a file
  std::string key_file;
  std::string psk_file;  // one line "IDENTITY:HEX KEY"
  std::string alpn;
  bool allow_tls12 = true;
  bool operator==(const TelemetryTlsConfig&) const = default;
};

struct SparkplugConfig {
  bool enabled = true;
  std::string primary_host;  // empty: none is waited for
  std::chrono::milliseconds interval{10'000};
  std::chrono::milliseconds max_silence{300'000};
  std::vector<std::pair<std::string, std::string>> dead_bands;  // glob of metric names, "0.5" or "2%"
  std::vector<std::string> include, exclude;                    // globs of metric names
  std::vector<std::string> commands{"rebirth"};
  std::chrono::milliseconds rebirth_interval{60'000};
  bool operator==(const SparkplugConfig&) const = default;
};

// The streams of plain mode, in the order of their priority.
inline constexpr std::array<std::string_view, 5> kPlainStreams{"events", "conditions", "facts", "metrics", "flows"};

struct PlainConfig {
  bool enabled = true;
  bool json = false;  // else protobuf
  std::string topic = "omnitide/v1/{group}/{node}/{stream}";
  std::vector<std::string> streams{kPlainStreams.begin(), kPlainStreams.end()};
  std::chrono::milliseconds metrics_interval{60'000};
  std::uint32_t flow_rate = 50;  // flows a second; the others are counted
  bool operator==(const PlainConfig&) const = default;
};

struct SpoolConfig {
  std::uint64_t bytes = std::uint64_t{64} << 20U;
  std::chrono::milliseconds age = std::chrono::days{30};  // 0: no limit
  std::uint64_t segment_bytes = std::uint64_t{1} << 20U;
  bool oldest_first = false;  // else by priority
  std::uint32_t rate = 0;     // records a second; 0: no limit
  std::chrono::milliseconds sync_interval{1'000};
  std::uint32_t drain_rate = 5'000;  // historical records a second; 0: no limit
  bool operator==(const SpoolConfig&) const = default;
};

struct TelemetryConfig {
  std::vector<BrokerConfig> brokers;  // in order of preference; empty: telemetry is off
  MqttProtocol protocol = MqttProtocol::v5;
  std::string group = "omnitide";
  std::string node;       // empty: the node id
  std::string client_id;  // empty: the node
  std::string username;
  std::string password_file;  // a path, or kCredentialPrefix and a name
  std::chrono::milliseconds keep_alive{60'000};
  std::chrono::milliseconds backoff_base{1'000};
  std::chrono::milliseconds backoff_cap{120'000};
  std::uint32_t in_flight = 100;
  TelemetryTlsConfig tls;
  SparkplugConfig sparkplug;
  PlainConfig plain;
  SpoolConfig spool;
  bool operator==(const TelemetryConfig&) const = default;
};

}  // namespace omnitide::config
