// Names of metrics in Sparkplug, a stable contract: docs/sparkplug.md.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace omnitide::telemetry {

inline constexpr std::size_t kLongestName = 1024;   // bytes; a longer one is left out
inline constexpr std::size_t kLongestDevice = 128;  // bytes of a device's id
inline constexpr std::size_t kLongestValue = 1024;  // bytes of a text as value; the rest is cut off

// Appends the text with / = % + # and control characters as %XX, and with what is no UTF-8 as U+FFFD. What comes out
// can stand in a topic and in a part of a name.
void append_escaped(std::string& out, std::string_view text);
[[nodiscard]] std::string escaped(std::string_view text);

using Label = std::pair<std::string_view, std::string_view>;  // name, value

// family/label=value/... . `labels` are sorted in place by name; empty values are left out, as in Prometheus.
void append_metric_name(std::string& out, std::string_view family, std::span<Label> labels);

// "disk" and "sda" -> "disk:sda": a legal device id.
[[nodiscard]] std::string device_id(std::string_view kind, std::string_view name);

// Whether the text may be a group, node or device id: UTF-8 without + / # and control characters, not empty.
[[nodiscard]] bool is_sparkplug_id(std::string_view text);

// At most `limit` bytes of the text, up to a whole character, with what is no UTF-8 as U+FFFD.
[[nodiscard]] std::string bounded_text(std::string_view text, std::size_t limit = kLongestValue);

}  // namespace omnitide::telemetry
