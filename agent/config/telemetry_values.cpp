#include "agent/config/telemetry_values.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "agent/base/text.hpp"
#include "agent/config/reading.hpp"

namespace omnitide::config {

namespace {

constexpr std::size_t kLongestTopic = 512, kLongestWord = 128, kLongestGlob = 256;

bool has_controls(std::string_view text) { return printable(text, text.size()) != text; }

// Empty when good, else what is wrong with the URL.
std::string broker_fault(std::string_view text, BrokerConfig& out) {
  out.url = text.ends_with('/') && !text.ends_with("//") ? text.substr(0, text.size() - 1) : text;
  if (text.starts_with("ws://") || text.starts_with("wss://"))
    return "is MQTT over WebSocket, which the MQTT library of this build cannot do";
  const std::size_t scheme = text.find("://");
  if (text.starts_with("mqtts://"))
    out.tls = true;
  else if (!text.starts_with("mqtt://"))
    return "does not begin with mqtt:// or mqtts://";
  std::string_view rest = std::string_view(out.url).substr(scheme + 3);
  if (rest.find('@') != std::string_view::npos) return "has a user name or password in it";
  if (rest.find_first_of("/?#") != std::string_view::npos) return "has a path or query";
  const std::optional<HostPort> parts = split_host_port(rest);
  if (!parts || parts->host.empty()) return "has no host";
  if (parts->bracketed ? !is_address(AF_INET6, parts->host) : !is_host_name(parts->host)) return "has a bad host";
  const auto port = parse_number<std::uint16_t>(parts->port.value_or(out.tls ? "8883" : "1883"));
  if (!port || *port == 0) return "has a bad port";
  out.host = parts->host;
  out.port = *port;
  return {};
}

std::string broker_hint(std::string_view text) {
  if (text.find('@') != std::string_view::npos) return "use telemetry.username and telemetry.password_file";
  return "mqtt://HOST[:1883] or mqtts://HOST[:8883]";
}

struct Unit {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array<Unit, 4> kUnits{{{"GiB", 1ULL << 30U}, {"MiB", 1ULL << 20U}, {"KiB", 1ULL << 10U}, {"B", 1}}};

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    const auto count = parse_number<std::uint64_t>(trim(text.substr(0, text.size() - unit.name.size())));
    if (!count || *count > UINT64_MAX / unit.bytes) return std::nullopt;
    return *count * unit.bytes;
  }
  return std::nullopt;
}

bool is_band(std::string_view text) {
  if (text.ends_with('%')) text.remove_suffix(1);
  double band = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), band);
  return problem == std::errc{} && end == text.data() + text.size() && std::isfinite(band) && band >= 0;
}

}  // namespace

void read_brokers(const Value& value, std::vector<BrokerConfig>& out, Problems& problems) {
  if (!is_list(value, "a list such as [mqtts://broker.example]", problems)) return;
  if (value.items.size() > kMostBrokers)
    return add(problems, value, "", fmt::format("has {} brokers", value.items.size()),
               fmt::format("at most {}", kMostBrokers));
  std::vector<BrokerConfig> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], "a URL such as mqtts://broker.example:8883", problems, field);
    if (!text) continue;
    BrokerConfig broker;
    const std::string fault = broker_fault(*text, broker);
    if (fault.empty())
      read.push_back(std::move(broker));
    else
      add(problems, value.items[i], field, fmt::format("{} {}", quote(*text), fault), broker_hint(*text));
  }
  out = std::move(read);
}

void read_topic_word(const Value& value, bool may_be_empty, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a name", problems);
  if (!text) return;
  if (text->empty() ? !may_be_empty : text->size() > kLongestWord || has_controls(*text)) {
    add(problems, value, "", fmt::format("{} is no level of a topic", quote(*text)),
        fmt::format("1 to {} bytes, no control characters", kLongestWord));
  } else if (text->find_first_of("/+#") != std::string_view::npos) {
    add(problems, value, "", fmt::format("{} has a character that topics use", quote(*text)), "no '/', '+' and '#'");
  } else {
    out = *text;
  }
}

void read_topic_template(const Value& value, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a topic such as omnitide/v1/{group}/{node}/{stream}", problems);
  if (!text) return;
  std::string rest(*text);
  for (const std::string_view name : {"{group}", "{node}", "{stream}"}) {
    for (std::size_t at = rest.find(name); at != std::string::npos; at = rest.find(name))
      rest.erase(at, name.size());
  }
  if (text->size() > kLongestTopic || has_controls(*text) || rest.find_first_of("+#{}") != std::string::npos) {
    add(problems, value, "", fmt::format("{} is no topic", quote(*text)),
        fmt::format("at most {} bytes, without '+' and '#'; known are {{group}}, {{node}} and {{stream}}",
                    kLongestTopic));
  } else if (text->find("{stream}") == std::string_view::npos) {
    add(problems, value, "", fmt::format("{} does not tell the streams apart", quote(*text)), "put {stream} into it");
  } else if (text->starts_with('$') || text->starts_with("spBv1.0/")) {
    add(problems, value, "", fmt::format("{} is in a space that is not for this", quote(*text)),
        "topics with $ are the broker's, spBv1.0 is Sparkplug's");
  } else {
    out = *text;
  }
}

void read_line(const Value& value, std::size_t longest, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a text", problems);
  if (!text) return;
  if (text->size() > longest || has_controls(*text))
    add(problems, value, "", fmt::format("{} is too long or has control characters", quote(*text)),
        fmt::format("at most {} bytes", longest));
  else
    out = *text;
}

void read_secret_source(const Value& value, std::string& out, Problems& problems) {
  if (value.kind != Value::Kind::scalar || !value.text.starts_with(kCredentialPrefix))
    return read_path(value, true, kLongestPath, out, problems);
  // systemd.exec(5): a credential's name is a valid file name.
  const std::string_view name = std::string_view(value.text).substr(kCredentialPrefix.size());
  const bool good = !name.empty() && name.size() <= 255 && !name.starts_with('.') && !has_controls(name) &&
                    name.find('/') == std::string_view::npos;
  if (good)
    out = value.text;
  else
    add(problems, value, "", fmt::format("{} names no credential", quote(value.text)),
        "credential:NAME, with NAME as in LoadCredential= of the unit");
}

void read_certificate(const Value& value, std::string& out, Problems& problems) {
  if (value.kind == Value::Kind::scalar && value.text == kRegistrationCertificate)
    out = value.text;
  else
    read_path(value, true, kLongestPath, out, problems);
}

void read_bytes(const Value& value, std::uint64_t least, std::uint64_t most, std::uint64_t& out, Problems& problems) {
  const std::string right = fmt::format("{} to {}", bytes_text(least), bytes_text(most));
  const auto text = scalar(value, "a size such as " + bytes_text(least), problems);
  if (!text) return;
  const std::optional<std::uint64_t> bytes = parse_bytes(*text);
  if (!bytes)
    add(problems, value, "", fmt::format("{} is no size", quote(*text)), "a whole number and B, KiB, MiB or GiB");
  else if (*bytes < least || *bytes > most)
    add(problems, value, "", fmt::format("{} is too {}", quote(*text), *bytes < least ? "small" : "large"), right);
  else
    out = *bytes;
}

std::string bytes_text(std::uint64_t bytes) {
  for (const Unit& unit : kUnits)
    if (bytes != 0 && bytes % unit.bytes == 0) return fmt::format("{}{}", bytes / unit.bytes, unit.name);
  return "0B";
}

void read_globs(const Value& value, std::vector<std::string>& out, Problems& problems) {
  if (!is_list(value, "a list such as [\"node_load*\"]", problems)) return;
  std::vector<std::string> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], "a pattern of metric names", problems, field);
    if (!text) continue;
    if (text->empty() || text->size() > kLongestGlob || has_controls(*text))
      add(problems, value.items[i], field, fmt::format("{} is no pattern of metric names", quote(*text)),
          "a name as docs/sparkplug.md has it, * and ? allowed");
    else
      read.emplace_back(*text);
  }
  out = std::move(read);
}

void read_dead_bands(const Value& value, std::vector<std::pair<std::string, std::string>>& out, Problems& problems) {
  if (!is_list(value, "a list such as [\"node_load*=5%\"]", problems)) return;
  std::vector<std::pair<std::string, std::string>> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], "PATTERN=BAND", problems, field);
    if (!text) continue;
    const std::size_t equals = text->rfind('=');
    const bool whole = equals != std::string_view::npos && equals > 0 && equals <= kLongestGlob;
    if (!whole || has_controls(*text) || !is_band(text->substr(equals + 1)))
      add(problems, value.items[i], field, fmt::format("{} is no dead band", quote(*text)),
          "PATTERN=0.5 or PATTERN=2%, the pattern of metric names");
    else
      read.emplace_back(text->substr(0, equals), text->substr(equals + 1));
  }
  out = std::move(read);
}

}  // namespace omnitide::config
