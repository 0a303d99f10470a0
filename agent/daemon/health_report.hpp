// Health as Samples; the rest of what it reports is HealthPart::fill.
#pragma once

#include <vector>

#include "agent/model/sample.hpp"

namespace omnitide::daemon {

[[nodiscard]] std::vector<const model::MetricDescriptor*> health_descriptors();

}  // namespace omnitide::daemon
