// The keys of metrics.ebpf.
#pragma once

#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& ebpf_keys();

}  // namespace omnitide::config
