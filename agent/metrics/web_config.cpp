#include "agent/metrics/web_config.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <span>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/metrics/authenticator.hpp"

namespace omnitide::metrics {

namespace {

constexpr std::size_t kMaxBytes = 256U << 10U;
constexpr std::size_t kMaxUsers = 1000;
constexpr std::size_t kMaxFaults = 20;

using Faults = std::vector<std::string>;

void fault(Faults& faults, const YAML::Node& at, std::string_view field, std::string_view what) {
  const int line = at.Mark().line;
  faults.push_back(fmt::format("line {}: {}: {}", line + 1, field, what));
}

struct Setting {
  std::string_view name;
  std::function<void(const YAML::Node& value, std::string_view field)> read;
};

// Hands each entry of a map to its setting.
void read_map(const YAML::Node& map, std::string_view path, std::span<const Setting> settings, Faults& faults) {
  if (map.IsNull()) return;
  if (!map.IsMap()) return fault(faults, map, path.empty() ? "the file" : path, "must be a map");
  for (const auto& entry : map) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
    const std::string field = path.empty() ? printable(name, 80) : fmt::format("{}.{}", path, printable(name, 80));
    const auto known = std::find_if(settings.begin(), settings.end(), [&](const Setting& s) { return s.name == name; });
    if (known != settings.end()) {
      known->read(entry.second, field);
      continue;
    }
    std::vector<std::string> names;
    for (const Setting& setting : settings)
      names.emplace_back(setting.name);
    const std::string_view near = nearest(name, names);
    fault(faults, entry.first, field,
          near.empty() ? "no such setting" : fmt::format("no such setting; did you mean {}?", near));
  }
}

std::optional<std::string> scalar(const YAML::Node& value, std::string_view field, Faults& faults) {
  if (value.IsScalar()) return value.Scalar();
  fault(faults, value, field, "must be a text");
  return std::nullopt;
}

auto file_name(std::string& to, const std::string& folder, Faults& faults) {
  return [&to, &folder, &faults](const YAML::Node& value, std::string_view field) {
    const std::optional<std::string> name = scalar(value, field, faults);
    if (!name || name->empty()) return;
    to = name->front() == '/' || folder.empty() ? *name : fmt::format("{}/{}", folder, *name);
  };
}

auto refused(std::string_view why, Faults& faults) {
  return [why, &faults](const YAML::Node& value, std::string_view field) { fault(faults, value, field, why); };
}

// A setting that changes nothing here: this server speaks HTTP/1.1, and OpenSSL chooses ciphers by its own preference.
auto boolean_without_effect(Faults& faults) {
  return [&faults](const YAML::Node& value, std::string_view field) {
    const std::optional<std::string> text = scalar(value, field, faults);
    if (text && *text != "true" && *text != "false") fault(faults, value, field, "must be true or false");
  };
}

void read_client_auth(const YAML::Node& value, std::string_view field, WebTls& tls, Faults& faults) {
  const std::optional<std::string> text = scalar(value, field, faults);
  if (!text) return;
  if (text->empty() || *text == "NoClientCert") {
    tls.client_auth = io::ClientAuth::none;
  } else if (*text == "VerifyClientCertIfGiven") {
    tls.client_auth = io::ClientAuth::optional;
  } else if (*text == "RequireAndVerifyClientCert") {
    tls.client_auth = io::ClientAuth::required;
  } else if (*text == "RequestClientCert" || *text == "RequireAnyClientCert" || *text == "RequireClientCert") {
    fault(faults, value, field, "takes certificates that nobody verifies; use RequireAndVerifyClientCert");
  } else {
    fault(faults, value, field, "must be NoClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert");
  }
}

void read_versions(const YAML::Node& value, std::string_view field, WebTls& tls, bool least, Faults& faults) {
  const std::optional<std::string> text = scalar(value, field, faults);
  if (!text) return;
  if (least && *text == "TLS12") return;
  if (*text == "TLS13") {
    if (least) tls.allow_tls12 = false;
    return;
  }
  fault(faults, value, field, least ? "must be TLS12 or TLS13; older ones are not offered" : "must be TLS13");
}

void read_tls(const YAML::Node& value, std::string_view path, const std::string& folder, WebConfig& out,
              Faults& faults) {
  if (value.IsNull()) return;
  WebTls tls;
  constexpr std::string_view kInline = "is not supported; put it into a file";
  constexpr std::string_view kChoice = "is not supported; OpenSSL's choice is used";
  const std::array settings = std::to_array<Setting>({
      {"cert_file", file_name(tls.cert_file, folder, faults)},
      {"key_file", file_name(tls.key_file, folder, faults)},
      {"client_ca_file", file_name(tls.client_ca_file, folder, faults)},
      {"client_auth_type",
       [&](const YAML::Node& v, std::string_view field) { read_client_auth(v, field, tls, faults); }},
      {"min_version", [&](const YAML::Node& v, std::string_view f) { read_versions(v, f, tls, true, faults); }},
      {"max_version", [&](const YAML::Node& v, std::string_view f) { read_versions(v, f, tls, false, faults); }},
      {"prefer_server_cipher_suites", boolean_without_effect(faults)},
      {"cert", refused(kInline, faults)},
      {"key", refused(kInline, faults)},
      {"client_ca", refused(kInline, faults)},
      {"cipher_suites", refused(kChoice, faults)},
      {"curve_preferences", refused(kChoice, faults)},
      {"client_allowed_sans", refused("is not supported; use a client CA of its own", faults)},
  });
  const std::size_t before = faults.size();
  read_map(value, path, settings, faults);
  if (faults.size() != before) return;
  if (tls.cert_file.empty()) fault(faults, value, path, "cert_file is missing");
  if (tls.key_file.empty()) fault(faults, value, path, "key_file is missing");
  const bool asks = tls.client_auth != io::ClientAuth::none;
  if (asks && tls.client_ca_file.empty()) fault(faults, value, path, "client_auth_type needs client_ca_file");
  if (!asks && !tls.client_ca_file.empty()) fault(faults, value, path, "client_ca_file needs client_auth_type");
  out.tls = std::move(tls);
}

void read_users(const YAML::Node& value, std::string_view path, WebConfig& out, Faults& faults) {
  if (value.IsNull()) return;
  if (!value.IsMap() || value.size() > kMaxUsers)
    return fault(faults, value, path, fmt::format("must be a map of at most {} names to bcrypt hashes", kMaxUsers));
  if (value.size() > 0 && !can_verify_bcrypt())
    fault(faults, value, path, "cannot be verified here: neither libcrypt.so.2 nor .1 of libxcrypt is installed");
  for (const auto& entry : value) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
    const std::string field = fmt::format("{}.{}", path, printable(name, 80));
    const std::string hash = entry.second.IsScalar() ? entry.second.Scalar() : std::string();
    // RFC 7617: the colon ends the name.
    if (name.empty() || name.find_first_of(std::string_view(":\0", 2)) != std::string::npos)
      fault(faults, entry.first, field, "is no user name");
    if (!is_bcrypt_hash(hash))
      fault(faults, entry.second, field, "is no bcrypt hash of cost 4 to 16 ($2a$, $2b$, $2y$)");
    if (!out.users.emplace(name, hash).second) fault(faults, entry.first, field, "is there twice");
  }
}

void read_header(const YAML::Node& value, std::string_view field, std::string_view name, WebConfig& out,
                 Faults& faults) {
  const std::optional<std::string> text = scalar(value, field, faults);
  if (!text || text->empty()) return;
  const bool plain =
      text->size() <= 4096 && std::all_of(text->begin(), text->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!plain) return fault(faults, value, field, "must be printable ASCII");
  if (name == "X-Content-Type-Options" && *text != "nosniff") return fault(faults, value, field, "must be nosniff");
  if (name == "X-Frame-Options" && *text != "deny" && *text != "sameorigin")
    return fault(faults, value, field, "must be deny or sameorigin");
  out.headers.emplace_back(name, *text);
}

void read_http(const YAML::Node& value, std::string_view path, WebConfig& out, Faults& faults) {
  const auto read_headers = [&](const YAML::Node& headers, std::string_view field) {
    std::vector<Setting> settings;
    for (const std::string_view name : {"Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options",
                                        "X-XSS-Protection", "Strict-Transport-Security"}) {
      settings.push_back(
          {name, [&, name](const YAML::Node& v, std::string_view f) { read_header(v, f, name, out, faults); }});
    }
    read_map(headers, field, settings, faults);
  };
  const std::array settings =
      std::to_array<Setting>({{"http2", boolean_without_effect(faults)}, {"headers", read_headers}});
  read_map(value, path, settings, faults);
}

WebConfig read_document(const YAML::Node& document, const std::string& folder, Faults& faults) {
  WebConfig out;
  const std::array settings = std::to_array<Setting>({
      {"tls_server_config",
       [&](const YAML::Node& v, std::string_view field) { read_tls(v, field, folder, out, faults); }},
      {"http_server_config", [&](const YAML::Node& v, std::string_view f) { read_http(v, f, out, faults); }},
      {"basic_auth_users", [&](const YAML::Node& v, std::string_view f) { read_users(v, f, out, faults); }},
      {"rate_limit", refused("is not supported; the number of connections is bounded", faults)},
  });
  read_map(document, "", settings, faults);
  return out;
}

}  // namespace

Result<WebConfig> parse_web_config(std::string_view text, const std::string& folder) {
  if (text.size() > kMaxBytes) return fail(Code::resource_exhausted, "the web configuration is too long");
  try {
    Faults faults;
    WebConfig config = read_document(YAML::Load(std::string(text)), folder, faults);
    if (faults.empty()) return config;
    if (faults.size() > kMaxFaults) faults.resize(kMaxFaults);
    return fail(Code::invalid_argument, join(faults, "; "));
  } catch (const YAML::Exception& problem) {
    return fail(Code::invalid_argument, fmt::format("line {}: not valid YAML: {}", problem.mark.line + 1, problem.msg));
  }
}

Result<WebConfig> load_web_config(const std::string& path) {
  const Result<std::string> text = read_file(path, kMaxBytes);
  if (!text) return text.error();
  const std::size_t slash = path.rfind('/');
  Result<WebConfig> config = parse_web_config(*text, slash == std::string::npos ? "" : path.substr(0, slash));
  if (!config) return Error(config.error()).within(path);
  return config;
}

Result<io::TlsContext> make_tls(const WebTls& tls) {
  return io::TlsContext::server_from_pem(tls.cert_file, tls.key_file, tls.client_ca_file, tls.client_auth,
                                         tls.allow_tls12);
}

}  // namespace omnitide::metrics
