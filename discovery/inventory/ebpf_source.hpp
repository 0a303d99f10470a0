// What eBPF can do here, as one more source of facts.
#pragma once

#include <string>

#include "discovery/sources/source.hpp"

namespace omnitide::discovery {

// Probes once a boot and keeps the answer in `cache_file` (a folder that a reboot empties serves best; empty: no
// cache); `force` probes at every read. A tree that is not this machine's has no such facts.
[[nodiscard]] Source ebpf_source(std::string cache_file, bool force);

}  // namespace omnitide::discovery
