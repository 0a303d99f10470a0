// The keys of telemetry. Inside of the room.
#pragma once

#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& telemetry_keys();

}  // namespace omnitide::config
