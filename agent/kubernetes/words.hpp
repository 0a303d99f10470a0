// Texts and times as the API takes them. Inside of the room.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"

namespace omnitide::kubernetes {

// metav1.Time, which has whole seconds.
[[nodiscard]] inline std::string api_time(WallTime time) {
  const std::string text = format_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
  return text.substr(0, text.find('.')) + "Z";
}

// metav1.MicroTime.
[[nodiscard]] inline std::string api_micro_time(WallTime time) {
  const std::string text = format_rfc3339(time);
  return text.substr(0, text.size() - 1) + "000Z";
}

// Valid UTF-8 of at most so many bytes; "..." says that there was more.
[[nodiscard]] inline std::string shortened(std::string_view text, std::size_t most) {
  std::string out = valid_utf8(text);
  if (out.size() <= most) return out;
  std::size_t end = most - 3;
  while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0U) == 0x80U)
    --end;
  return out.substr(0, end) + "...";
}

}  // namespace omnitide::kubernetes
