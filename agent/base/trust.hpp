// Whether a file is root's alone to change: what is run or believed as root's word must be.
#pragma once

#include <string>

#include "agent/base/error.hpp"

namespace omnitide {

// The path is absolute and leads to a regular file. It, each folder and each symbolic link on the way to it belong to
// root, and nobody else may write them; a folder that others may write must be sticky, as /tmp is. permission_denied
// names what is not so, and what would be right. Since nobody else can change any of it, it still holds when the file
// is opened next.
[[nodiscard]] Result<> only_root_writes(const std::string& path);

}  // namespace omnitide
