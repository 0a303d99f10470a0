// The key health.checks: checks that the operator gives.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.hpp"
#include "agent/config/document.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

void read_checks(const Value& value, std::vector<HealthCheckConfig>& out, Problems& problems);
[[nodiscard]] Value show_checks(const std::vector<HealthCheckConfig>& checks);
[[nodiscard]] bool has_commands(const Config& config);

// The names of health/checks.
[[nodiscard]] const std::vector<std::string>& built_in_checks();
// "WebFrontUnhealthy" of "web-front".
[[nodiscard]] std::string condition_of(std::string_view check);

}  // namespace omnitide::config
