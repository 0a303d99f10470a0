// What the agent costs and does, as metrics of its own: process_*, omnitide_agent_*.
#pragma once

#include <cstdint>
#include <vector>

#include "agent/model/part_status.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::daemon {

[[nodiscard]] std::uint64_t resident_bytes();  // of this process, /proc/self/statm

// Gives back the pages of code and constants that only the start needed: the kernel maps sixteen at a time around each
// first use, and most of them are never used again. What is needed later comes back from the page cache. Only segments
// that cannot be written are touched (dl_iterate_phdr(3), MADV_DONTNEED in madvise(2)).
void release_start_up_code();

[[nodiscard]] std::vector<const model::MetricDescriptor*> self_descriptors();

// process_* as every Prometheus client gives them, and omnitide_agent_*.
void add_self(const std::vector<model::PartStatus>& parts, unsigned stuck_workers, model::SampleBatch& out);

}  // namespace omnitide::daemon
