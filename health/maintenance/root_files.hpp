// What is done as root is said by root alone: whether configuration could have been written by anybody else.
#pragma once

#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::health {

// Every one is a file or a folder, no link, owned by root, and only its owner writes to it; so is each file's folder.
// An error names the first that is not.
[[nodiscard]] Result<> only_by_root(const std::vector<std::string>& paths);

}  // namespace omnitide::health
