// Loads that the eBPF programs watch, each of some hundredths of a second: tests/bench/ebpf_overhead.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::bench {

struct Load {
  std::string_view key;           // "requests"
  std::string_view name;          // for people
  double transactions = 0;        // of a run
  int runs = 10;                  // in a phase
  std::function<double()> run{};  // milliseconds that its transactions took, without what is before and after them
};

// Switching tasks on one CPU and on two, messages between groups of processes, reads from `device` (a block device),
// and requests over TCP. They need CPUs 0 and 1. A load throws when something does not work.
[[nodiscard]] std::vector<Load> ebpf_loads(const std::string& device, std::size_t bytes);

}  // namespace omnitide::bench
