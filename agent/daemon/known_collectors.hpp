// Everything that the agent can measure, for its documentation.
#pragma once

#include <vector>

#include "agent/model/collector.hpp"

namespace omnitide::daemon {

// All collectors, also those that are off by default, and what the agent itself adds. They are not to be run.
[[nodiscard]] std::vector<model::Collector> known_collectors();

}  // namespace omnitide::daemon
