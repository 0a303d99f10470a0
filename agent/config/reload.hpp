// What a reload may change while the agent runs.
#pragma once

#include <string>
#include <vector>

#include "agent/config/config.hpp"

namespace omnitide::config {

struct ReloadDiff {
  std::vector<std::string> applied;        // changed keys that take effect now
  std::vector<std::string> needs_restart;  // changed keys that do not
};

[[nodiscard]] ReloadDiff reload_diff(const Config& running, const Config& next);

// `next` with every value that needs a restart taken from `running`: what the agent runs with after the reload.
[[nodiscard]] Config after_reload(const Config& running, const Config& next);

}  // namespace omnitide::config
