// Rule files of node-problem-detector, as they are: config/kernel-monitor.json and its like.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

// Plugins kmsg, journald and filelog. What is not understood is refused with the place of the fault: another plugin, a
// rule without a reason, a pattern that is none. Keys that only concern node-problem-detector itself are passed over.
[[nodiscard]] Result<health::LogRules> parse_log_rules(std::string_view json);
[[nodiscard]] Result<health::LogRules> load_log_rules(const std::string& path);

struct LoadedLogRules {
  std::vector<health::LogRules> rules;
  std::vector<std::string> refused;  // each with its fault; logged
};
[[nodiscard]] LoadedLogRules load_all_log_rules(const std::vector<std::string>& paths);

}  // namespace omnitide::daemon
