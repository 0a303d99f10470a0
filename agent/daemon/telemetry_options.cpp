#include "agent/daemon/telemetry_options.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/telemetry/report.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kMostSecret = 64U << 10U;
// A record of facts of a large machine, as JSON.
constexpr std::size_t kLongestRecord = std::size_t{4} << 20U;

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  return text;
}

Result<std::string> first_line(const std::string& path) {
  const Result<std::string> text = read_file(path, kMostSecret);
  if (text.has_error()) return Error(text.error()).within(path);
  const std::string_view line = std::string_view(*text).substr(0, text->find_first_of("\r\n"));
  if (line.empty()) return fail(Code::invalid_argument, path + " is empty");
  return std::string(line);
}

Result<std::string> read_password(const std::string& source, const TelemetryPlace& place) {
  if (!source.starts_with(config::kCredentialPrefix)) return first_line(source);
  const std::string name = source.substr(config::kCredentialPrefix.size());
  if (place.credentials_directory.empty())
    return fail(Code::failed_precondition, "systemd handed no credentials over")
        .with_hint("put LoadCredential=" + name + ":FILE into the unit");
  return first_line(place.credentials_directory + "/" + name);
}

Result<> read_psk(const std::string& path, io::MqttTls& out) {
  const Result<std::string> line = first_line(path);
  if (line.has_error()) return line.error();
  const std::size_t colon = line->rfind(':');
  const auto key = colon == std::string::npos ? std::nullopt : hex_decode(std::string_view(*line).substr(colon + 1));
  if (!key || key->empty() || colon == 0)
    return fail(Code::invalid_argument, path + " has no line IDENTITY:KEY with the key in hexadecimal");
  out.psk_identity = line->substr(0, colon);
  out.psk_hex = line->substr(colon + 1);
  return {};
}

Result<io::MqttTls> tls_options(const config::TelemetryTlsConfig& config, const TelemetryPlace& place) {
  io::MqttTls out;
  out.ca_file = config.ca_file;
  out.alpn = config.alpn;
  out.allow_tls12 = config.allow_tls12;
  out.certificate_file = config.certificate;
  out.key_file = config.key_file;
  if (config.certificate == config::kRegistrationCertificate) {
    out.certificate_file = place.state_dir + "/identity/node.crt";
    out.key_file = place.state_dir + "/identity/node.key";
    if (::access(out.certificate_file.c_str(), R_OK) != 0)
      return fail(Code::failed_precondition, "the registration has no certificate yet");
  }
  if (config.psk_file.empty()) return out;
  const Result<> read = read_psk(config.psk_file, out);
  if (read.has_error()) return read.error();
  return out;
}

Result<std::vector<io::MqttOptions>> broker_options(const config::TelemetryConfig& config,
                                                    const TelemetryPlace& place) {
  io::MqttOptions common;
  common.version = config.protocol == config::MqttProtocol::v5 ? io::MqttVersion::v5 : io::MqttVersion::v311;
  common.client_id = telemetry_client(config, place);
  common.username = config.username;
  common.keep_alive = std::chrono::duration_cast<std::chrono::seconds>(config.keep_alive);
  common.max_in_flight = config.in_flight;
  if (!config.password_file.empty()) {
    Result<std::string> password = read_password(config.password_file, place);
    if (password.has_error()) return std::move(password).error();
    common.password = std::move(*password);
  }
  const bool any_tls = std::ranges::any_of(config.brokers, [](const config::BrokerConfig& each) { return each.tls; });
  io::MqttTls tls;
  if (any_tls) {
    Result<io::MqttTls> read = tls_options(config.tls, place);
    if (read.has_error()) return std::move(read).error();
    tls = std::move(*read);
  }
  std::vector<io::MqttOptions> out;
  for (const config::BrokerConfig& broker : config.brokers) {
    io::MqttOptions& options = out.emplace_back(common);
    options.host = broker.host;
    options.port = broker.port;
    if (broker.tls) options.tls = tls;
    options.tls.enabled = broker.tls;
  }
  return out;
}

telemetry::SpoolLimits spool_limits(const config::SpoolConfig& config) {
  telemetry::SpoolLimits out;
  out.bytes = config.bytes;
  out.age = config.age;
  out.segment_bytes = config.segment_bytes;
  out.record_bytes = kLongestRecord;
  out.records_per_second = config.rate;
  out.eviction = config.oldest_first ? telemetry::Eviction::oldest_first : telemetry::Eviction::priority;
  return out;
}

}  // namespace

std::string telemetry_node(const config::TelemetryConfig& config, const TelemetryPlace& place) {
  return config.node.empty() ? place.node_id : config.node;
}

std::string telemetry_client(const config::TelemetryConfig& config, const TelemetryPlace& place) {
  return config.client_id.empty() ? "omnitide-" + telemetry_node(config, place) : config.client_id;
}

std::string telemetry_folder(const std::string& state_dir) { return state_dir + "/telemetry"; }

std::string plain_topic(const config::TelemetryConfig& config, const TelemetryPlace& place, std::string_view stream) {
  std::string out = replaced(config.plain.topic, "{stream}", stream);
  out = replaced(std::move(out), "{group}", config.group);
  return replaced(std::move(out), "{node}", telemetry_node(config, place));
}

std::vector<std::pair<std::string, std::string>> all_dead_bands(const config::SparkplugConfig& config) {
  std::vector<std::pair<std::string, std::string>> out = config.dead_bands;
  std::ranges::move(telemetry::default_dead_bands(), std::back_inserter(out));
  return out;
}

Result<telemetry::PublisherOptions> publisher_options(const config::TelemetryConfig& config,
                                                      const TelemetryPlace& place) {
  telemetry::PublisherOptions out;
  Result<std::vector<io::MqttOptions>> brokers = broker_options(config, place);
  if (brokers.has_error()) return std::move(brokers).error();
  out.folder = telemetry_folder(place.state_dir);
  out.brokers = std::move(*brokers);
  if (config.sparkplug.enabled) {
    telemetry::SparkplugOptions& sparkplug = out.sparkplug.emplace();
    sparkplug.group = config.group;
    sparkplug.node = telemetry_node(config, place);
    sparkplug.primary_host = config.sparkplug.primary_host;
    sparkplug.brokers = config.brokers.size();
    sparkplug.rebirth_interval = config.sparkplug.rebirth_interval;
    sparkplug.commands = config.sparkplug.commands;
  }
  out.plain.enabled = config.plain.enabled;
  if (config.plain.enabled) {
    for (std::size_t i = 0; i < telemetry::kStreams; ++i) {
      const std::string_view name = telemetry::kStreamNames.at(i);
      if (std::ranges::find(config.plain.streams, name) != config.plain.streams.end())
        out.plain.topics.at(i) = plain_topic(config, place, name);
    }
    out.plain.status_topic = plain_topic(config, place, "status");
  }
  out.spool = spool_limits(config.spool);
  out.sync_interval = config.spool.sync_interval;
  out.backoff_base = config.backoff_base;
  out.backoff_cap = config.backoff_cap;
  out.drain_records_per_second = config.spool.drain_rate;
  out.max_silence = config.sparkplug.max_silence;
  out.dead_bands = all_dead_bands(config.sparkplug);
  return out;
}

}  // namespace omnitide::daemon
