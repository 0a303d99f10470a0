// What the agent costs and does, as Samples of its own: omnitide_agent_*.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/model/part_status.hpp"
#include "agent/model/sample.hpp"

namespace omnitide::daemon {

[[nodiscard]] std::uint64_t resident_bytes();  // of this process, /proc/self/statm
[[nodiscard]] std::vector<model::Sample> self_samples(const std::vector<model::PartStatus>& parts,
                                                      unsigned stuck_workers);

}  // namespace omnitide::daemon
