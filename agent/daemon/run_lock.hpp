// One agent a node: a lock on RUN_DIR/agent.lock, held for the life of the process.
#pragma once

#include <string>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::daemon {

// Makes the folder when it is missing. unavailable names the process that holds the lock.
[[nodiscard]] Result<UniqueFd> take_run_lock(const std::string& run_dir);

// Writes run_dir into STATE_DIR/run-dir, by which commands with --state-dir find the agent. A failure is no loss: then
// --run-dir has to be given.
void note_run_dir(const std::string& state_dir, const std::string& run_dir);

}  // namespace omnitide::daemon
