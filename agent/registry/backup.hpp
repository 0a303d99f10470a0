// Copies of the database.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/registry/database.hpp"

namespace omnitide::registry {

// `to` becomes a copy of `from` in one transaction: after a crash it is the old or the new content.
[[nodiscard]] Result<> copy_database(Database& from, Database& to);
// A sound backup whose active CA's key is in DIR.
[[nodiscard]] Result<> check_restorable(const std::string& file, const std::string& dir);

}  // namespace omnitide::registry
