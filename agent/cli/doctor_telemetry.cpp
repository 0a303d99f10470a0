// What telemetry needs: the library, files of TLS and secrets, brokers that answer.
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "agent/cli/doctor.hpp"
#include "agent/io/mqtt.hpp"

namespace omnitide::cli {

namespace {

constexpr std::chrono::milliseconds kConnectTimeout{3000};

Check broker(const config::BrokerConfig& broker) {
  const Result<> connected = try_connect(broker.host, std::to_string(broker.port), kConnectTimeout);
  const std::string name = "broker " + broker.url;
  if (connected.has_value()) return {name, Outcome::ok, "takes connections", ""};
  return {name, Outcome::problem, connected.error().message,
          "check name, route and firewall; meanwhile records wait in the spool"};
}

void readable_file(const char* name, const std::string& path, Checks& out) {
  if (path.empty()) return;
  const bool readable = ::access(path.c_str(), R_OK) == 0;
  out.push_back({name, readable ? Outcome::ok : Outcome::problem, readable ? path : fail_errno(errno, path).message,
                 readable ? "" : "name a file that is there and readable"});
}

void secret_file(const char* name, const std::string& path, Checks& out) {
  if (auto secret = check_secret_file(name, path)) out.push_back(std::move(*secret));
}

void tls_files(const config::TelemetryTlsConfig& tls, const std::string& state_dir, Checks& out) {
  readable_file("broker's CA file", tls.ca_file, out);
  if (tls.certificate == config::kRegistrationCertificate) {
    const std::string path = state_dir + "/identity/node.crt";
    const bool there = ::access(path.c_str(), F_OK) == 0;
    out.push_back({"client certificate", there ? Outcome::ok : Outcome::warning,
                   there ? path : "the registration has none yet",
                   there ? "" : "telemetry starts once the node is registered"});
  } else {
    readable_file("client certificate", tls.certificate, out);
  }
  secret_file("client key", tls.key_file, out);
  secret_file("shared key of TLS", tls.psk_file, out);
}

}  // namespace

Checks check_telemetry(const config::Config& config) {
  const config::TelemetryConfig& telemetry = config.telemetry;
  if (telemetry.brokers.empty()) return {{"telemetry", Outcome::ok, "telemetry.brokers names no broker", ""}};
  Checks out;
  const Result<std::string> library = io::mqtt_library();
  if (library.has_value())
    out.push_back({"MQTT library", Outcome::ok, *library, ""});
  else
    out.push_back({"MQTT library", Outcome::problem, library.error().message, library.error().hint});
  tls_files(telemetry.tls, config.paths.state_dir, out);
  if (!telemetry.password_file.starts_with(config::kCredentialPrefix))
    secret_file("MQTT password", telemetry.password_file, out);
  for (const config::BrokerConfig& each : telemetry.brokers) {
    const bool near = each.host == "localhost" || each.host.starts_with("127.") || each.host == "::1";
    if (!each.tls && !telemetry.username.empty() && !near)
      out.push_back({"broker " + each.url, Outcome::warning, "user name and password travel in the clear",
                     "write mqtts:// in telemetry.brokers"});
    out.push_back(broker(each));
  }
  return out;
}

}  // namespace omnitide::cli
