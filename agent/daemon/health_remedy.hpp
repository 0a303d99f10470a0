// What the configuration allows to be done, as ladders and bounds; pure.
#pragma once

#include <string>
#include <vector>

#include "agent/config/health_config.hpp"
#include "health/checks/condition_store.hpp"
#include "health/remediation/decider.hpp"
#include "health/remediation/quarantine.hpp"

namespace omnitide::daemon {

// A ladder for each unit of health.units, for each other condition of health.remediation.reboot_for, and for what else
// health.remediation names: DiskPressure, DNSUnavailable, NetworkDegraded of each link.
[[nodiscard]] std::vector<health::Ladder> health_ladders(const config::HealthConfig& config);
[[nodiscard]] health::QuarantineBounds quarantine_bounds(const config::HealthConfig& config);
[[nodiscard]] health::Bounds health_bounds(const config::HealthConfig& config);
// The faults that ladders are for, as the store has them. What no check has spoken of is left out.
[[nodiscard]] std::vector<health::Fault> health_faults(const std::vector<health::Ladder>& ladders,
                                                       const health::ConditionStore& store);
// A ledger that has nothing left: what was done in the last day is not known.
[[nodiscard]] health::DeciderState used_up(const health::Bounds& bounds);
[[nodiscard]] health::QuarantineState used_up(const health::QuarantineBounds& bounds);

}  // namespace omnitide::daemon
