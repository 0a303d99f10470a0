#include "agent/config/reading.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"

namespace omnitide::config {

std::string quote(std::string_view text) { return fmt::format("\"{}\"", printable(text, 100)); }

void add(Problems& problems, const Value& value, std::string field, std::string message, std::string hint) {
  problems.push_back({value.line, std::move(field), std::move(message), std::move(hint)});
}

std::optional<std::string_view> scalar(const Value& value, std::string_view right, Problems& problems,
                                       const std::string& field) {
  if (value.kind == Value::Kind::scalar) return value.text;
  if (value.kind == Value::Kind::null) {
    add(problems, value, field, "has no value", fmt::format("give {}, or take the line away", right));
  } else {
    add(problems, value, field, fmt::format("is {}", kind_name(value)), fmt::format("give {}", right));
  }
  return std::nullopt;
}

bool is_list(const Value& value, std::string_view right, Problems& problems) {
  if (value.kind != Value::Kind::list) {
    add(problems, value, "", fmt::format("is {}, not a list", kind_name(value)), fmt::format("give {}", right));
    return false;
  }
  if (value.items.size() > kMaxListItems) {
    add(problems, value, "", fmt::format("has {} items", value.items.size()), fmt::format("at most {}", kMaxListItems));
    return false;
  }
  return true;
}

bool is_map(const Value& value, std::string_view right, Problems& problems) {
  if (value.kind != Value::Kind::map) {
    add(problems, value, "", fmt::format("is {}, not a map", kind_name(value)), fmt::format("give {}", right));
    return false;
  }
  if (value.entries.size() > kMaxListItems) {
    add(problems, value, "", fmt::format("has {} entries", value.entries.size()),
        fmt::format("at most {}", kMaxListItems));
    return false;
  }
  return true;
}

bool is_host_name(std::string_view text) {
  if (text.empty() || text.size() > 253) return false;
  return std::ranges::all_of(split(text, '.'), [](std::string_view label) {
    return !label.empty() && label.size() <= 63 && is_alphanumeric(label.front()) && is_alphanumeric(label.back()) &&
           std::ranges::all_of(label, [](char c) { return is_alphanumeric(c) || c == '-' || c == '_'; });
  });
}

bool is_address(int family, std::string_view text) {
  std::array<unsigned char, 16> address{};
  return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort out;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    out.host = text.substr(1, end - 1);
    out.bracketed = true;
    text.remove_prefix(end + 1);
    if (text.empty()) return out;
    if (text[0] != ':') return std::nullopt;
    out.port = text.substr(1);
    return out;
  }
  const std::size_t colon = text.find(':');
  out.host = text.substr(0, colon);
  if (colon == std::string_view::npos) return out;
  out.port = text.substr(colon + 1);
  return out;
}

std::string choices(std::span<const std::string> allowed) { return fmt::format("one of {}", join(allowed, ", ")); }

std::string choice_hint(std::string_view word, std::span<const std::string> allowed) {
  const std::string_view near = nearest(word, allowed);
  return near.empty() ? choices(allowed) : fmt::format("did you mean {}? {}", near, choices(allowed));
}

}  // namespace omnitide::config
