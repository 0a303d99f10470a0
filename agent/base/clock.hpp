// Time as pure code sees it. Only the daemon reads clocks; state machines are given the time.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide {

using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

[[nodiscard]] WallTime wall_now();
// When this program was built (SOURCE_DATE_EPOCH where set): a lower bound for "now" on a device without a battery
// clock.
[[nodiscard]] WallTime build_time();

// RFC 3339 in UTC with milliseconds: "2026-01-31T12:00:00.000Z".
[[nodiscard]] std::string format_rfc3339(WallTime time);
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text);

// "90s", "10m", "2h", "7d", "250ms" and sums such as "1h30m". Nothing else; no negative values.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);  // "1h30m", "250ms", "0s"

}  // namespace omnitide
