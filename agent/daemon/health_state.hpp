// What of the node's health survives a restart: STATE_DIR/health.json.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "health/checks/condition_store.hpp"
#include "health/checks/service_restarts.hpp"
#include "health/remediation/decider.hpp"
#include "health/remediation/quarantine.hpp"

namespace omnitide::daemon {

struct HealthSaved {
  std::vector<health::ConditionEntry> conditions;
  health::DeciderState decider;
  std::uint64_t kernel_sequence = 0;                 // next one to look at, of decider.boot_id
  std::map<std::string, std::string> log_positions;  // of other logs, by their names
  std::vector<health::RestartCount> restarts;        // on decider.boot_id
  health::QuarantineState quarantine{};
};

// Nothing saved yet is an empty value. A damaged file is data_loss: the caller begins anew, and must not act before it
// has told so, since what was done today is not known.
[[nodiscard]] Result<HealthSaved> load_health(const std::string& path);
[[nodiscard]] Result<> save_health(const std::string& path, const HealthSaved& saved);

}  // namespace omnitide::daemon
