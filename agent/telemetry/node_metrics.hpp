// What is known of the node besides samples, as metrics of Sparkplug. Names: docs/sparkplug.md.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "agent/model/condition.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/telemetry/metric_selector.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

// Properties/... of the node, and of its disks, interfaces and accelerators as devices: those that are hardware and
// that `selector` does not leave out. What is not known is left out.
[[nodiscard]] std::vector<NamedMetric> facts_metrics(const model::NodeFacts& facts, std::string_view agent_version,
                                                     const MetricSelector& selector);

// Condition/TYPE/status (null: unknown) and Condition/TYPE/reason.
[[nodiscard]] std::vector<NamedMetric> condition_metrics(std::span<const model::Condition> conditions);

}  // namespace omnitide::telemetry
