#include "agent/telemetry/metric_name.hpp"

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::telemetry {

namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }
bool is_plain(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool needs_escape(char c) { return is_control(c) || std::string_view("/=%+#").find(c) != std::string_view::npos; }

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string repaired;
  if (!std::ranges::all_of(text, is_plain)) {
    repaired = valid_utf8(text);
    text = repaired;
  }
  for (const char c : text) {
    if (!needs_escape(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4U];
    out += kDigits[byte & 0xFU];
  }
}

std::string escaped(std::string_view text) {
  std::string out;
  append_escaped(out, text);
  return out;
}

void append_metric_name(std::string& out, std::string_view family, std::span<Label> labels) {
  append_escaped(out, family);
  std::ranges::sort(labels, {}, &Label::first);
  for (const auto& [name, value] : labels) {
    if (value.empty()) continue;
    out += '/';
    append_escaped(out, name);
    out += '=';
    append_escaped(out, value);
  }
}

std::string device_id(std::string_view kind, std::string_view name) {
  std::string out(kind);
  out += ':';
  append_escaped(out, name);
  return out;
}

bool is_sparkplug_id(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, is_control) &&
         text.find_first_of("+/#") == std::string_view::npos && valid_utf8(text) == text;
}

std::string bounded_text(std::string_view text, std::size_t limit) {
  std::size_t end = std::min(limit, text.size());
  if (end < text.size()) {
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
      --end;
  }
  return valid_utf8(text.substr(0, end));
}

}  // namespace omnitide::telemetry
