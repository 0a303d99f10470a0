// What `status` says of the eBPF metrics.
#include "agent/daemon/ebpf_metrics_part.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using model::PartState;

namespace {

collectors::EbpfCollector collector(std::string_view name, std::string off = {}) {
  collectors::EbpfCollector out;
  out.collector.name = name;
  out.off = std::move(off);
  return out;
}

}  // namespace

TEST_CASE("collectors that work and those that are off, with their reasons") {
  CHECK(daemon::ebpf_state({collector("ebpf.runq"), collector("ebpf.tcp")}) ==
        std::pair(PartState::on, std::string("2 collectors")));
  CHECK(daemon::ebpf_state({collector("ebpf.runq"), collector("ebpf.drops", "no reasons"),
                            collector("ebpf.dns", "no cgroup v2"), collector("ebpf.irq", "no reasons")}) ==
        std::pair(PartState::on, std::string("1 collectors; dns off: no cgroup v2; drops, irq off: no reasons")));
}

TEST_CASE("a collector that works in another way than its best says so") {
  collectors::EbpfCollector dns = collector("ebpf.dns"), off = collector("ebpf.drops", "no reasons");
  dns.how = "by cgroup_skb";
  off.how = "in no way";
  CHECK(daemon::ebpf_state({collector("ebpf.runq"), dns, off}) ==
        std::pair(PartState::on, std::string("2 collectors; drops off: no reasons; dns by cgroup_skb")));
}

TEST_CASE("when all are off for one reason, that is the part's") {
  CHECK(daemon::ebpf_state({collector("ebpf.runq", "missing: CAP_BPF"), collector("ebpf.tcp", "missing: CAP_BPF")}) ==
        std::pair(PartState::off, std::string("missing: CAP_BPF")));
  CHECK(daemon::ebpf_state({collector("ebpf.runq", "a"), collector("ebpf.tcp", "b")}).first == PartState::off);
}
