// What the agent says of its node in the words of Kubernetes: conditions of the Node, Events about it. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/kubernetes/event_recorder.hpp"
#include "agent/kubernetes/node_conditions.hpp"
#include "agent/model/condition.hpp"

namespace omnitide::node::v1 {
class HealthEvent;
}

namespace omnitide::daemon {

// A type that kubelet writes is written as Omnitide and that type: OmnitideDiskPressure. What was never known is left
// out; what is not known any more, and is among `before` (types), is Unknown. Each type once.
[[nodiscard]] std::vector<kubernetes::NodeCondition> node_conditions(std::span<const model::Condition> conditions,
                                                                     std::span<const std::string> before);

// Nothing: it is no Event (what an operator asked for to be looked at).
[[nodiscard]] std::optional<kubernetes::EventNote> node_event(std::string_view node,
                                                              const node::v1::HealthEvent& event);

}  // namespace omnitide::daemon
