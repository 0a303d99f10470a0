// fio on a block device, as a load of tests/bench/ebpf_overhead.cpp.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/ebpf_loads.hpp"

namespace omnitide::bench {

// Random reads of 4 KiB past the page cache, one and sixteen at a time. Needs Debian's fio; throws when it runs
// without.
[[nodiscard]] std::vector<Load> fio_loads(const std::string& device);

}  // namespace omnitide::bench
