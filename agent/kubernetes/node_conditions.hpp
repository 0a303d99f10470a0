// Conditions on a Node's status as server-side apply has them: what one manager owns there, it alone writes, and what
// it leaves out is gone. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/kubernetes/client.hpp"

namespace omnitide::kubernetes {

struct NodeCondition {
  std::string type, status;  // status: "True", "False", "Unknown"
  std::string reason, message;
  WallTime since{};  // lastTransitionTime
  bool operator==(const NodeCondition&) const = default;
};

// Types that kubelet and the controllers around it write: Ready and the pressures.
[[nodiscard]] bool written_by_kubelet(std::string_view type);

// The body of an apply to nodes/NODE/status. `heartbeat` is lastHeartbeatTime of all of them. None: what the manager
// owned goes away.
[[nodiscard]] std::string conditions_body(std::string_view node, std::span<const NodeCondition> conditions,
                                          WallTime heartbeat);

// Before a type that kubelet writes, or that the cluster's admission policy does not know as the agent's:
// "OmnitideReady".
inline constexpr std::string_view kOwnTypes = "Omnitide";

// The types that an apply without force was refused for, since another manager has them.
[[nodiscard]] std::vector<std::string> types_in_conflict(std::span<const Conflict> conflicts);

// The types that our admission policy (manifests/) does not let the agent write, as its words name them.
[[nodiscard]] std::vector<std::string> types_not_admitted(std::string_view message);

// Of the types those whose lastHeartbeatTime on this Node (JSON) is older than `since`: their writer is gone. One that
// has no heartbeat is not among them.
[[nodiscard]] Result<std::vector<std::string>> abandoned_types(std::string_view node,
                                                               std::span<const std::string> types, WallTime since);

}  // namespace omnitide::kubernetes
