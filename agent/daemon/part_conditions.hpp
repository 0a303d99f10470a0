// The parts of the agent as conditions of the node: "Ready", and "DiscoveryReady", "PolicyReady", ... for each part
// that is not off. Pure.
#pragma once

#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/model/condition.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

// `before` is what the last call gave: a condition whose status stays keeps its `since`. Telemetry itself is none of
// them, since each change of the connection would be news to send.
[[nodiscard]] std::vector<model::Condition> part_conditions(const std::vector<model::PartStatus>& parts,
                                                            const std::string& not_ready_because,
                                                            const std::vector<model::Condition>& before, WallTime now);

// Whether they say the same: times, and sentences whose reason is the same, do not count.
[[nodiscard]] bool same_conditions(const std::vector<model::Condition>& a, const std::vector<model::Condition>& b);

}  // namespace omnitide::daemon
