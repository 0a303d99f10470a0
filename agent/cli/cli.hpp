// The command line of omnitide-agent.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/config/load.hpp"
#include "agent/model/collector.hpp"

namespace omnitide::cli {

// What the program's roof does; the command line itself does not know the daemon.
struct Callbacks {
  // Runs the agent with a valid configuration until it is told to end; the options are for reading it again.
  std::function<int(const config::LoadOptions&, config::Loaded)> run;
  // Everything that an agent with all collectors on can measure; nothing is measured.
  std::function<std::vector<model::Collector>()> collectors{};
  // What an agent left here, taken away: each step, or why it failed.
  std::function<std::vector<Result<std::string>>(const config::Config&)> uninstall_node{};
  // The agents of the whole cluster, within the time.
  std::function<Result<>(const config::Config&, std::chrono::milliseconds)> remove_daemon_set{};
};

// Parses, runs one command, returns the exit code: 0 good, 1 problem found, 2 usage or configuration, 3 agent not
// reachable or already running, 4 not permitted.
[[nodiscard]] int main(int argc, const char* const* argv, const Callbacks& callbacks);

}  // namespace omnitide::cli
