// The keys of kubernetes.cni.
#pragma once

#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& cni_keys();

}  // namespace omnitide::config
