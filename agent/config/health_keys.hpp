// The keys of health.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& health_keys();

// "[DAY ]HH:MM-HH:MM", DAY as Sun, Mon, ...; nothing when it is none.
struct HealthWindow {
  int weekday = -1;  // 0 is Sunday; -1: each day
  std::chrono::minutes begin{0}, end{0};
};
[[nodiscard]] std::optional<HealthWindow> parse_window(std::string_view text);

}  // namespace omnitide::config
