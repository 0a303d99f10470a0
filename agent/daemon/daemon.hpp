// The roof: makes the parts out of the configuration, owns loop, threads and lifetime. Nothing includes it but main.
#pragma once

#include "agent/config/load.hpp"

namespace omnitide::daemon {

// Runs the agent until SIGTERM or SIGINT. `loaded` is valid; `options` are what it was loaded with, for SIGHUP.
// Returns the exit code: 0 after a clean end, 1 when a part that nothing works without failed, 3 when an agent already
// runs here, 4 when a folder is not permitted.
[[nodiscard]] int run(const config::LoadOptions& options, config::Loaded loaded);

}  // namespace omnitide::daemon
