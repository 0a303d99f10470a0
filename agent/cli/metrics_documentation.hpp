// docs/metrics.md, out of what the collectors say of themselves.
#pragma once

#include <string>
#include <vector>

#include "agent/model/collector.hpp"

namespace omnitide::cli {

[[nodiscard]] std::string metrics_documentation(std::vector<model::Collector> collectors);

}  // namespace omnitide::cli
