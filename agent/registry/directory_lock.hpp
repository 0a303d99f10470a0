// One process a registry folder: a lock that ends with its holder.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::registry {

// unavailable names the process that holds it.
[[nodiscard]] Result<UniqueFd> lock_directory(const std::string& dir);

}  // namespace omnitide::registry
