// The web configuration file that node_exporter and Prometheus share
// (https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::metrics {

struct WebTls {
  std::string cert_file, key_file;  // PEM; relative names are taken from the folder of the configuration
  std::string client_ca_file;
  io::ClientAuth client_auth = io::ClientAuth::none;
  bool allow_tls12 = true;
  bool operator==(const WebTls&) const = default;
};

struct WebConfig {
  std::optional<WebTls> tls;                                 // absent: plain HTTP
  std::map<std::string, std::string> users;                  // name -> bcrypt hash
  std::vector<std::pair<std::string, std::string>> headers;  // for every answer
};

// Every fault at once, in one message with line and field. Unknown keys are faults; so are settings that would weaken
// or that cannot be kept here (client_allowed_sans, cipher_suites, inline certificates, rate_limit, TLS before 1.2).
// `folder` is where relative file names start; the files themselves are not read.
[[nodiscard]] Result<WebConfig> parse_web_config(std::string_view text, const std::string& folder);
[[nodiscard]] Result<WebConfig> load_web_config(const std::string& path);

[[nodiscard]] Result<io::TlsContext> make_tls(const WebTls& tls);

}  // namespace omnitide::metrics
