// Reads every source once, for a command that shows what is there and ends.
#pragma once

#include <chrono>
#include <vector>

#include "agent/base/root.hpp"
#include "discovery/inventory/inventory.hpp"
#include "discovery/sources/source.hpp"

namespace omnitide::discovery {

struct RunOptions {
  unsigned threads = 3;                     // that read at the same time
  std::chrono::milliseconds total{10'000};  // for all sources together
};

// A source that misses its deadline is reported as such and left behind on its thread: it holds only values of its own,
// and ends with the process. Returns within `total` in any case.
[[nodiscard]] Inventory run_all(const Root& root, std::vector<Source> sources, RunOptions options = {});

}  // namespace omnitide::discovery
