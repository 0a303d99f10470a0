// Metrics for reading.
#pragma once

#include <string>

#include "agent/cli/metric_set.hpp"
#include "agent/cli/table.hpp"

namespace omnitide::cli {

// A block a family: name, type and unit, what it means, then a line for each value with its labels. Histograms show how
// many observations they have, their mean and quantiles.
[[nodiscard]] std::string metrics_text(const MetricSet& set, const Console& console);

}  // namespace omnitide::cli
