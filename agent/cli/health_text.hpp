// What `health` prints. Pure. Inside of the room.
#pragma once

#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/cli/table.hpp"

namespace omnitide::node::v1 {
class HealthHistory;
class HealthStatus;
}  // namespace omnitide::node::v1

namespace omnitide::cli {

[[nodiscard]] std::string health_text(const node::v1::HealthStatus& status, WallTime now, const Console& console);
[[nodiscard]] std::string health_history_text(const node::v1::HealthHistory& history, const Console& console);
// not_found names the conditions that there are.
[[nodiscard]] Result<std::string> health_explanation(const std::string& condition, const node::v1::HealthStatus& status,
                                                     const node::v1::HealthHistory& history, WallTime now,
                                                     const Console& console);

}  // namespace omnitide::cli
