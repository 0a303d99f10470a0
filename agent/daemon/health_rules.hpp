// Rule files of node-problem-detector, as they are: config/kernel-monitor.json and its like.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

// What is not understood is refused with the place of the fault: a plugin other than kmsg, a rule without a reason, a
// pattern that is none. Keys that only concern node-problem-detector itself are passed over.
[[nodiscard]] Result<health::LogRules> parse_log_rules(std::string_view json);
[[nodiscard]] Result<health::LogRules> load_log_rules(const std::string& path);

}  // namespace omnitide::daemon
