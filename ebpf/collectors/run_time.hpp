// How long eBPF programs run: only on demand, since the kernel's statistics slow every program of the machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::collectors {

struct ProgramTime {
  std::uint32_t id = 0;
  std::string name;  // as the kernel keeps it: 15 characters; printable
  std::string type;  // "tracing", "sched_cls", ...
  std::uint64_t runs = 0;
  std::chrono::nanoseconds time{0};
};

// Every program of the machine, whoever loaded it, that ran in the next `duration` (at most a minute; longer ones are
// cut); the costliest first. Blocks that long. The statistics are on meanwhile and off afterwards, also when the
// process dies. permission_denied: needs CAP_SYS_ADMIN. failed_precondition: before Linux 5.8.
[[nodiscard]] Result<std::vector<ProgramTime>> bpf_run_times(std::chrono::milliseconds duration);

}  // namespace omnitide::collectors
