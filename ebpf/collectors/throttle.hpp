// What cgroups with a CPU quota say about it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace omnitide::collectors {

struct Throttling {
  std::uint64_t periods = 0;    // in which the cgroup ran
  std::uint64_t throttled = 0;  // of these, those in which it was stopped
  double seconds = 0;           // for which it was stopped, of all CPUs together
};

// From cpu.stat: nr_periods, nr_throttled and throttled_usec of version 2 (or throttled_time, in nanoseconds, of
// version 1); see Documentation/scheduler/sched-bwc.rst. nullopt: it does not say, as without the CPU controller.
[[nodiscard]] std::optional<Throttling> parse_cpu_stat(std::string_view text);
// Whether cpu.max ("max 100000", "20000 100000") or version 1's cpu.cfs_quota_us ("-1", "20000") is a limit.
[[nodiscard]] bool is_limited(std::string_view text);

}  // namespace omnitide::collectors
