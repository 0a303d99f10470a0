#include "agent/config/values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/config/reading.hpp"

namespace omnitide::config {

namespace {

// Empty when good, else what is wrong with the URL.
std::string endpoint_fault(std::string_view text) {
  constexpr std::string_view kScheme = "https://";
  if (text.starts_with("http://")) return "is not encrypted: only https:// is accepted";
  if (!text.starts_with(kScheme)) return "does not begin with https://";
  text.remove_prefix(kScheme.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find('@') != std::string_view::npos) return "has a user name or password in it";
  if (text.find_first_of("/?#") != std::string_view::npos) return "has a path or query";
  const std::optional<HostPort> parts = split_host_port(text);
  if (!parts || parts->host.empty()) return "has no host";
  if (parts->bracketed ? !is_address(AF_INET6, parts->host) : !is_host_name(parts->host)) return "has a bad host";
  const auto port = parse_number<std::uint16_t>(parts->port.value_or("443"));
  if (!port || *port == 0) return "has a bad port";
  return {};
}

// Kubernetes: a qualified name is [DNS subdomain "/"] name; a name has 63 characters at most.
bool is_label_word(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}
bool is_label_key(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_label_word(text);
  const std::string_view prefix = text.substr(0, slash);
  return is_host_name(prefix) && to_lower(prefix) == prefix && is_label_word(text.substr(slash + 1));
}

}  // namespace

void read_boolean(const Value& value, bool& out, Problems& problems) {
  const auto text = scalar(value, "true or false", problems);
  if (!text) return;
  if (!value.quoted && (*text == "true" || *text == "false")) {
    out = *text == "true";
  } else {
    add(problems, value, "", fmt::format("{} is not a boolean", quote(*text)), "give true or false, without quotes");
  }
}

void read_duration(const Value& value, std::chrono::milliseconds least, std::chrono::milliseconds most,
                   std::chrono::milliseconds& out, Problems& problems) {
  const std::string right = fmt::format("{} to {}", format_duration(least), format_duration(most));
  const auto text = scalar(value, "a duration such as " + format_duration(least), problems);
  if (!text) return;
  const std::optional<std::chrono::milliseconds> read = parse_duration(*text);
  if (!read) {
    const bool number = !text->empty() && std::ranges::all_of(*text, is_digit);
    add(problems, value, "", fmt::format("{} is not a duration", quote(*text)),
        number ? fmt::format("give a unit: {}s, or ms, m, h, d", printable(*text, 20))
               : fmt::format("give one such as {} or 1h30m", format_duration(least)));
  } else if (*read < least || *read > most) {
    add(problems, value, "", fmt::format("{} is too {}", format_duration(*read), *read < least ? "short" : "long"),
        right);
  } else {
    out = *read;
  }
}

void read_path(const Value& value, bool may_be_empty, std::size_t longest, std::string& out, Problems& problems) {
  const auto text = scalar(value, "an absolute path", problems);
  if (!text) return;
  if (text->empty() && may_be_empty) {
    out.clear();
  } else if (!text->starts_with('/')) {
    add(problems, value, "", fmt::format("{} is not an absolute path", quote(*text)), "begin it with /");
  } else if (text->size() > longest) {
    add(problems, value, "", fmt::format("is {} bytes long", text->size()), fmt::format("at most {}", longest));
  } else if (printable(*text, longest) != *text) {
    add(problems, value, "", fmt::format("{} has control characters", quote(*text)), "take them away");
  } else {
    out = *text;
    while (out.size() > 1 && out.back() == '/')
      out.pop_back();
  }
}

void read_node_name(const Value& value, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a name", problems);
  if (!text) return;
  if (!text->empty() && !is_host_name(*text)) {
    add(problems, value, "", fmt::format("{} is not a host name", quote(*text)),
        "letters, digits, '-', '_' and '.', at most 253, beginning and ending with a letter or digit");
    return;
  }
  out = *text;
}

void read_endpoint(const Value& value, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a URL such as https://registry.example:7443", problems);
  if (!text) return;
  const std::string fault = text->empty() ? "" : endpoint_fault(*text);
  if (!fault.empty()) {
    add(problems, value, "", fmt::format("{} {}", quote(*text), fault),
        "https://HOST or https://HOST:PORT, e.g. https://registry.example:7443");
    return;
  }
  out = text->ends_with('/') ? text->substr(0, text->size() - 1) : *text;
}

void read_listen(const Value& value, std::string& out, Problems& problems) {
  const auto text = scalar(value, "an address and port such as 127.0.0.1:9797", problems);
  if (!text) return;
  const std::optional<HostPort> parts = split_host_port(*text);
  const std::string said = quote(*text);
  if (!parts || !parts->port) {
    add(problems, value, "", fmt::format("{} has no port", said), "ADDRESS:PORT, e.g. 127.0.0.1:9797 or [::1]:9797");
  } else if (parts->host.empty()) {
    add(problems, value, "", fmt::format("{} has no address", said), "for all addresses write 0.0.0.0 or [::]");
  } else if (parts->bracketed ? !is_address(AF_INET6, parts->host)
                              : !is_address(AF_INET, parts->host) && parts->host != "localhost") {
    add(problems, value, "", fmt::format("{} has no literal address", said),
        "an IPv4 address, an IPv6 address in [], or localhost");
  } else if (!parse_number<std::uint16_t>(*parts->port)) {
    add(problems, value, "", fmt::format("{} has a bad port", said), "1 to 65535; 0 lets the kernel choose");
  } else {
    out = *text;
  }
}

void read_host_names(const Value& value, std::vector<std::string>& out, Problems& problems) {
  if (!is_list(value, "a list of host names", problems)) return;
  std::vector<std::string> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], "a host name", problems, field);
    if (!text) continue;
    if (is_host_name(*text)) {
      read.push_back(to_lower(*text));
    } else {
      add(problems, value.items[i], field, fmt::format("{} is not a host name", quote(*text)),
          "only the name, without scheme and port");
    }
  }
  out = std::move(read);
}

void read_words(const Value& value, std::span<const std::string> allowed, std::vector<std::string>& out,
                Problems& problems) {
  if (!is_list(value, "a list such as [" + allowed.front() + "]", problems)) return;
  std::vector<std::string> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], choices(allowed), problems, field);
    if (!text) continue;
    if (std::ranges::find(allowed, *text) != allowed.end()) {
      read.emplace_back(*text);
    } else {
      add(problems, value.items[i], field, fmt::format("{} is not known", quote(*text)), choice_hint(*text, allowed));
    }
  }
  out = std::move(read);
}

void read_count(const Value& value, std::uint32_t least, std::uint32_t most, std::uint32_t& out, Problems& problems) {
  const std::string right = fmt::format("a whole number from {} to {}", least, most);
  const auto text = scalar(value, right, problems);
  if (!text) return;
  const auto number = parse_number<std::uint32_t>(*text);
  if (!number || *number < least || *number > most) {
    add(problems, value, "", fmt::format("{} is not right", quote(*text)), "give " + right);
  } else {
    out = *number;
  }
}

void read_device_names(const Value& value, std::vector<std::string>& out, Problems& problems) {
  constexpr std::size_t kLongestName = 15;  // IFNAMSIZ without its end
  if (!is_list(value, "a list such as [cali*]", problems)) return;
  std::vector<std::string> read;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = fmt::format("[{}]", i);
    const auto text = scalar(value.items[i], "a device's name, * and ? allowed", problems, field);
    if (!text) continue;
    if (text->empty() || text->size() > kLongestName || text->find_first_of("/ \t") != std::string_view::npos) {
      add(problems, value.items[i], field, fmt::format("{} is no name of a network device", quote(*text)),
          "at most 15 bytes, no slash and no space");
    } else {
      read.emplace_back(*text);
    }
  }
  out = std::move(read);
}

void read_mark_mask(const Value& value, std::uint32_t& out, Problems& problems) {
  constexpr std::uint32_t kKubeProxy = 0xc000;
  const auto text = scalar(value, "a mask such as \"0x3fff0000\"", problems);
  if (!text) return;
  const auto mask = text->starts_with("0x") ? parse_number<std::uint32_t>(*text, 16) : std::nullopt;
  const std::uint32_t low = mask ? *mask >> static_cast<unsigned>(std::countr_zero(*mask)) : 0;
  if (!mask || std::popcount(*mask) < 4 || std::popcount(*mask) > 30 || (low & (low + 1)) != 0) {
    add(problems, value, "", fmt::format("{} is no mask of 4 to 30 bits side by side", quote(*text)),
        "give one such as \"0x3fff0000\"");
  } else if ((*mask & kKubeProxy) != 0) {
    add(problems, value, "", fmt::format("{} has bits that kube-proxy uses (0x4000, 0x8000)", quote(*text)),
        "give one such as \"0x3fff0000\"");
  } else {
    out = *mask;
  }
}

void read_choice(const Value& value, std::span<const std::string> allowed, std::size_t& out, Problems& problems) {
  const auto text = scalar(value, choices(allowed), problems);
  if (!text) return;
  const auto found = std::ranges::find(allowed, *text);
  if (found == allowed.end()) {
    add(problems, value, "", fmt::format("{} is not known", quote(*text)), choice_hint(*text, allowed));
  } else {
    out = static_cast<std::size_t>(found - allowed.begin());
  }
}

void read_labels(const Value& value, std::map<std::string, std::string>& out, Problems& problems) {
  if (!is_map(value, "labels such as {site: hall-3}", problems)) return;
  for (const Entry& entry : value.entries) {
    const std::string field = printable(entry.key, 100);
    const auto text = scalar(entry.value, "a label value", problems, field);
    if (!text) continue;
    if (!is_label_key(entry.key)) {
      add(problems, entry.value, field, "is not a label key",
          "letters, digits, '-', '_' and '.', at most 63; before a '/' may stand a lower-case domain");
    } else if (!text->empty() && !is_label_word(*text)) {
      add(problems, entry.value, field, fmt::format("{} is not a label value", quote(*text)),
          "letters, digits, '-', '_' and '.', at most 63, beginning and ending with a letter or digit");
    } else {
      out[entry.key] = *text;
    }
  }
}

void read_levels(const Value& value, std::map<log::Part, log::Level>& out, Problems& problems) {
  if (!is_map(value, "levels such as {discovery: debug}", problems)) return;
  for (const Entry& entry : value.entries) {
    const std::optional<log::Part> part = log::part_from(entry.key);
    if (!part) {
      add(problems, entry.value, printable(entry.key, 100), "is not a part of the agent",
          choice_hint(entry.key, part_names()));
      continue;
    }
    const auto text = scalar(entry.value, choices(level_names()), problems, entry.key);
    if (!text) continue;
    const std::optional<log::Level> level = log::level_from(*text);
    if (level) {
      out[*part] = *level;
    } else {
      add(problems, entry.value, entry.key, fmt::format("{} is not known", quote(*text)),
          choice_hint(*text, level_names()));
    }
  }
}

bool is_loopback(std::string_view listen) {
  return listen.starts_with("127.") || listen.starts_with("[::1]:") || listen.starts_with("localhost:");
}

const std::vector<std::string>& level_names() {
  static const std::vector<std::string> names{"debug", "info", "warning", "error"};
  return names;
}

const std::vector<std::string>& part_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < log::kParts; ++i)
      out.emplace_back(log::name(static_cast<log::Part>(i)));
    return out;
  }();
  return names;
}

Value show(bool value) { return Value::scalar(value ? "true" : "false"); }
Value show(const std::string& value) { return Value::scalar(value, true); }
Value show(std::uint32_t value) { return Value::scalar(std::to_string(value)); }
Value show(std::chrono::milliseconds value) { return Value::scalar(format_duration(value)); }
Value show(const std::vector<std::string>& values) {
  Value out;
  out.kind = Value::Kind::list;
  for (const std::string& value : values)
    out.items.push_back(show(value));
  return out;
}

}  // namespace omnitide::config
