// One agent a node: a lock on RUN_DIR/agent.lock, held for the life of the process.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::daemon {

// Makes the folder when it is missing. failed_precondition names the process that holds the lock.
[[nodiscard]] Result<UniqueFd> take_run_lock(const std::string& run_dir);

}  // namespace omnitide::daemon
