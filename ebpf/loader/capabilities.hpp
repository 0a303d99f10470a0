// The effective capabilities of this thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace omnitide::ebpf {

[[nodiscard]] std::uint64_t effective_capabilities();

// Names of those of `needed` (CAP_BPF, ...) that `held` lacks, CAP_SYS_ADMIN standing for what it includes:
// "CAP_BPF and CAP_PERFMON". Empty when none is missing.
[[nodiscard]] std::string missing_capabilities(std::uint64_t held, std::span<const int> needed);

}  // namespace omnitide::ebpf
