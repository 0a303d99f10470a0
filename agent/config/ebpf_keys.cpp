#include "agent/config/ebpf_keys.hpp"

#include <string>

#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

// The names of ebpf/collectors/catalogue.hpp; a unit test of the daemon holds them against those.
const std::vector<std::string>& collector_names() {
  static const std::vector<std::string> names{"runq", "block",   "tcp",      "listen", "drops",
                                              "dns",  "process", "throttle", "irq",    "programs"};
  return names;
}

}  // namespace

const std::vector<Key>& ebpf_keys() {
  static const std::vector<Key> keys{
      Key{"metrics.ebpf.enabled", "boolean",
          "Metrics that eBPF programs count in the kernel; needs CAP_BPF and CAP_PERFMON, for DNS without fentry "
          "CAP_NET_ADMIN too.",
          "", "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.metrics.ebpf.enabled, p); },
          [](const Config& c) { return Value::scalar(c.metrics.ebpf.enabled ? "true" : "false"); }},
      Key{"metrics.ebpf.cgroups", "1 to 1000",
          "Cgroups with values of their own at once. The others count under the cgroup \"other\".", "", "", false,
          false, [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 1000, c.metrics.ebpf.cgroups, p); },
          [](const Config& c) { return Value::scalar(std::to_string(c.metrics.ebpf.cgroups)); }},
      Key{"metrics.ebpf.exclude", "list of collectors",
          "Collectors that are not loaded: runq, block, tcp, listen, drops, dns, process, throttle, irq, programs.",
          "[]", "[dns, irq]", false, false,
          [](Config& c, const Value& v, Problems& p) { read_words(v, collector_names(), c.metrics.ebpf.exclude, p); },
          [](const Config& c) { return show(c.metrics.ebpf.exclude); }}};
  return keys;
}

}  // namespace omnitide::config
