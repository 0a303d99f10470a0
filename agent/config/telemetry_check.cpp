// What only several keys of telemetry together show to be wrong.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/clock.hpp"
#include "agent/config/telemetry_values.hpp"

namespace omnitide::config {

namespace {

void check_connection(const TelemetryConfig& config, Problems& problems) {
  if (config.backoff_base > config.backoff_cap) {
    problems.push_back({0, "telemetry.backoff_base",
                        fmt::format("{} is longer than telemetry.backoff_cap, {}", format_duration(config.backoff_base),
                                    format_duration(config.backoff_cap)),
                        "give a base that is not above the cap"});
  }
  if (!config.password_file.empty() && config.username.empty()) {
    problems.push_back({0, "telemetry.password_file", "is set, but telemetry.username is not",
                        "name the user that the password belongs to"});
  }
}

void check_tls(const TelemetryConfig& config, bool registers, Problems& problems) {
  const TelemetryTlsConfig& tls = config.tls;
  const bool own_certificate = !tls.certificate.empty() && tls.certificate != kRegistrationCertificate;
  if (own_certificate && tls.key_file.empty()) {
    problems.push_back({0, "telemetry.tls.certificate", "is a file, but telemetry.tls.key_file is not set",
                        "name the certificate's private key"});
  }
  if (!own_certificate && !tls.key_file.empty()) {
    problems.push_back({0, "telemetry.tls.key_file", "is set, but telemetry.tls.certificate names no file",
                        "name the key's certificate, or take the key away"});
  }
  if (tls.certificate == kRegistrationCertificate && !registers) {
    problems.push_back({0, "telemetry.tls.certificate", "is that of the registration, which is off",
                        "set registration.endpoint, or name a file"});
  }
  if (!tls.psk_file.empty() && (!tls.certificate.empty() || !tls.ca_file.empty())) {
    problems.push_back({0, "telemetry.tls.psk_file", "is set beside certificates",
                        "a broker is known by a shared key or by certificates: set one of them"});
  }
  const bool any = std::ranges::any_of(config.brokers, [](const BrokerConfig& broker) { return broker.tls; });
  if (any || config.brokers.empty()) return;
  const std::pair<std::string_view, bool> wants_tls[] = {{"telemetry.tls.ca_file", !tls.ca_file.empty()},
                                                         {"telemetry.tls.certificate", !tls.certificate.empty()},
                                                         {"telemetry.tls.psk_file", !tls.psk_file.empty()}};
  for (const auto& [field, set] : wants_tls) {
    if (set)
      problems.push_back(
          {0, std::string(field), "is set, but no broker is one of mqtts://", "write mqtts:// in telemetry.brokers"});
  }
}

}  // namespace

void check_telemetry(const TelemetryConfig& config, bool registers, Problems& problems) {
  check_connection(config, problems);
  check_tls(config, registers, problems);
  if (config.spool.segment_bytes * 4 > config.spool.bytes) {
    problems.push_back({0, "telemetry.spool.segment_bytes",
                        fmt::format("{} is more than a quarter of telemetry.spool.bytes, {}",
                                    bytes_text(config.spool.segment_bytes), bytes_text(config.spool.bytes)),
                        "what is evicted is evicted by segments: give smaller ones"});
  }
  if (!config.brokers.empty() && !config.sparkplug.enabled && !config.plain.enabled) {
    problems.push_back({0, "telemetry.plain.enabled", "is false, and so is telemetry.sparkplug.enabled",
                        "one of them must be on where telemetry.brokers names a broker"});
  }
}

}  // namespace omnitide::config
