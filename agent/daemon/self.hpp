// What the agent costs and does, as metrics of its own: process_*, omnitide_agent_*.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/model/part_status.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::daemon {

[[nodiscard]] std::uint64_t resident_bytes();  // of this process, /proc/self/statm

[[nodiscard]] std::vector<const model::MetricDescriptor*> self_descriptors();

// process_* as every Prometheus client gives them, and omnitide_agent_*.
void add_self(const std::vector<model::PartStatus>& parts, unsigned stuck_workers, model::SampleBatch& out);

}  // namespace omnitide::daemon
