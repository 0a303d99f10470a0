// All metrics that come from eBPF.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ebpf/collectors/ebpf_collector.hpp"

namespace omnitide::collectors {

struct Options {
  std::uint32_t cgroups = 50;              // that have values of their own
  std::vector<std::string> exclude;        // names without "ebpf.": "dns"
  std::string cgroup_root;                 // mount point of cgroup v2; empty: found
  std::shared_ptr<const PodNames> pods{};  // names for cgroups of Kubernetes; may be null
  bool functions = true;                   // false: as on a kernel to whose functions nothing can be attached
};

// "runq", "block", ... : what `exclude` may name.
[[nodiscard]] std::span<const std::string_view> names();

// Every collector without its programs: `collect` is empty. Loads nothing, always works.
[[nodiscard]] std::vector<model::Collector> known_collectors();

// Every collector, excluded ones too, each with the reason when it is off; one that fails takes no other with it. Loads
// and attaches the programs, which run until the last copy of a collector goes: some hundred milliseconds, in which the
// calling thread is blocked. With other privileges gone afterwards, collecting works on.
[[nodiscard]] std::vector<EbpfCollector> open_all(const Options& options);

}  // namespace omnitide::collectors
