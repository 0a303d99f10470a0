#include "ebpf/collectors/catalogue.hpp"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>

#include "ebpf/collectors/openers.hpp"
#include "ebpf/loader/capabilities.hpp"

namespace omnitide::collectors {

namespace {

using namespace std::chrono_literals;

struct Known {
  std::string_view name;  // with "ebpf."
  std::string_view source;
  Families (*families)();
  Result<Collect> (*open)(const Setup&);
};

// The last one reads what the others put on the board.
constexpr std::array kKnown{
    Known{"ebpf.runq", "tp_btf/sched_switch", runq_families, open_runq},
    Known{"ebpf.block", "tp_btf/block_rq_complete", block_families, open_block},
    Known{"ebpf.tcp", "tp_btf/inet_sock_set_state, tcp_*", tcp_families, open_tcp},
    Known{"ebpf.listen", "/proc/PID/net/netstat", listen_families, open_listen},
    Known{"ebpf.drops", "tp_btf/kfree_skb", drops_families, open_drops},
    Known{"ebpf.dns", "fentry/ip_send_skb, fexit/udp_recvmsg, and of IPv6; or cgroup_skb of the root cgroup",
          dns_families, open_dns},
    Known{"ebpf.process", "tp_btf/sched_process_*, perf event major-faults", process_families, open_process},
    Known{"ebpf.throttle", "cpu.stat of cgroups", throttle_families, open_throttle},
    Known{"ebpf.irq", "tp_btf/softirq_*, irq_handler_*", irq_families, open_irq},
    Known{"ebpf.programs", "the programs themselves", programs_families, open_programs},
};
constexpr std::string_view kPrefix = "ebpf.";

constexpr auto kNames = [] {
  std::array<std::string_view, kKnown.size()> out;
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = kKnown[i].name.substr(kPrefix.size());
  return out;
}();

// Without these nothing can be loaded, whatever the kernel has.
std::string missing_for_all() {
  constexpr std::array kNeeded{CAP_BPF, CAP_PERFMON};
  const std::string missing = ebpf::missing_capabilities(ebpf::effective_capabilities(), kNeeded);
  return missing.empty() ? missing : "missing: " + missing;
}

Result<Collect> open_one(const Known& known, const Setup& setup) {
  try {
    return known.open(setup);
  } catch (const std::exception& problem) {
    return fail(Code::internal, problem.what());
  }
}

void open_each(std::vector<EbpfCollector>& all, Setup setup) {
  for (std::size_t i = 0; i < kKnown.size(); ++i) {
    if (!all[i].off.empty()) continue;
    setup.how = &all[i].how;
    Result<Collect> opened = open_one(kKnown[i], setup);
    if (opened)
      all[i].collector.collect = std::move(*opened);
    else
      all[i].off = opened.error().text();
  }
}

// The first of all faults is everybody's: no types, no cgroups, no maps.
Result<> open_with(std::vector<EbpfCollector>& all, const Options& options) {
  Result<CgroupTree> tree = CgroupTree::open(options.cgroup_root);
  if (tree.has_error()) return tree.error();
  const UniqueFd root(::fcntl(tree->fd(), F_DUPFD_CLOEXEC, 0));
  const std::string mount = tree->mount_point();
  const Result<KernelTypes> types = KernelTypes::open();
  if (types.has_error()) return types.error();
  Result<std::shared_ptr<CgroupSlots>> slots = CgroupSlots::open(options.cgroups, std::move(*tree), options.pods);
  if (slots.has_error()) return slots.error();
  const int cpus = libbpf_num_possible_cpus();
  open_each(all, {.types = *types,
                  .slots = *slots,
                  .pods = options.pods,
                  .board = std::make_shared<Board>(),
                  .cpus = static_cast<std::uint32_t>(std::max(cpus, 1)),
                  .cgroup_root = root.get(),
                  .cgroup_mount = mount,
                  .functions = options.functions});
  return {};
}

}  // namespace

std::span<const std::string_view> names() { return kNames; }

std::vector<model::Collector> known_collectors() {
  std::vector<model::Collector> out;
  for (const Known& known : kKnown)
    out.push_back({.name = known.name,
                   .descriptors = known.families(),
                   .collect = {},
                   .source = known.source,
                   .deadline = 1000ms});
  return out;
}

std::vector<EbpfCollector> open_all(const Options& options) {
  std::vector<EbpfCollector> out;
  const std::string missing = missing_for_all();
  for (model::Collector& known : known_collectors()) {
    const bool excluded =
        std::ranges::find(options.exclude, known.name.substr(kPrefix.size())) != options.exclude.end();
    out.push_back(
        {.collector = std::move(known), .off = excluded ? "excluded by metrics.ebpf.exclude" : missing, .how = {}});
  }
  if (missing.empty()) {
    if (const Result<> done = open_with(out, options); done.has_error()) {
      for (EbpfCollector& each : out) {
        if (each.off.empty() && !each.collector.collect) each.off = done.error().text();
      }
    }
  }
  (void)::malloc_trim(0);  // the kernel's types took megabytes
  return out;
}

}  // namespace omnitide::collectors
