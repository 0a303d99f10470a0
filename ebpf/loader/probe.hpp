// What eBPF can do on this machine for this process, found out by trying: a version number says nothing about a
// kernel's configuration, a sandbox or missing capabilities.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/model/node_facts.hpp"

namespace omnitide::ebpf {

// Every feature, in an order that does not change, with the reason for each that does not work. Blocks for tens to
// hundreds of milliseconds, in which the kernel waits for grace periods; starts a thread, leaves nothing behind.
[[nodiscard]] std::vector<model::EbpfFeature> probe();

// The same, but only once a boot: what `cache_file` holds is taken when it was written in this boot, on this kernel, by
// this version of the agent with the same effective capabilities; a damaged file is ignored. `force` probes anew. A
// file that cannot be written is no failure: the next start probes again. An empty name: no cache.
[[nodiscard]] std::vector<model::EbpfFeature> probe_cached(const std::string& cache_file, std::string_view boot_id,
                                                           bool force);

}  // namespace omnitide::ebpf
