// Times in logs, by layouts of Go's package time ("2006-01-02T15:04:05Z07:00"), as node-problem-detector's files have
// them.
#pragma once

#include <optional>
#include <string_view>

#include "agent/base/clock.hpp"

namespace omnitide::health {

// Nothing when the text is not of this layout. A fraction of a second may stand behind the seconds though the layout
// has none. Without a zone the time is of the machine's zone; without a year it is the last such time before `now`.
[[nodiscard]] std::optional<WallTime> parse_time(std::string_view layout, std::string_view text, WallTime now);

}  // namespace omnitide::health
