// What an agent that is gone left on its node and wrote to its cluster, and the agents of a cluster as a whole: taken
// away by commands, not by a running agent. They block.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/config/config.hpp"

namespace omnitide::daemon {

// Each step: a sentence of what is so now, or why not. Nothing is done where an agent runs, which would put it back.
[[nodiscard]] std::vector<Result<std::string>> uninstall_node(const config::Config& config);

// Deletes kubernetes.daemon_set and waits until its pods are gone; each of them takes away what is its own meanwhile.
// One that is not there is no error.
[[nodiscard]] Result<> remove_daemon_set(const config::Config& config, std::chrono::milliseconds timeout);

}  // namespace omnitide::daemon
