#include "agent/cli/metrics_documentation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/model/metric_type.hpp"

namespace omnitide::cli {

namespace {

constexpr std::string_view kHead =
    R"(# Metrics

One collection, served on `/metrics` as Prometheus text 0.0.4 or OpenMetrics 1.0, whichever the scraper likes better, and
compressed when it takes gzip. `/metrics?collect[]=cpu&collect[]=meminfo` asks only these collectors, as in node_exporter.
`omnitide-agent metrics [PATTERN]` shows the values on the node, `omnitide-agent top` the rates.

Names, types, labels and meaning of `node_*` are those of node_exporter 1.5. What has no name in a table is named by the
kernel: a row with `*` stands for those. In OpenMetrics a counter whose name does not end in `_total` is of type unknown,
since that format does not know such counters; families whose name ends in their unit have it as UNIT.

A browser that asks for `/` gets a page with the node's hardware, the agent's parts, live charts of these metrics and recent
flows; it loads nothing from elsewhere, and `http.page: false` turns it off. Everything under `http` (authentication, TLS,
allowed hosts) holds for it as for `/metrics`.

Each collector has a deadline of its own. One that fails or hangs costs its own families and nothing else:
`node_scrape_collector_success` is 0 for it. `metrics.collectors` in the configuration turns them on and off.

What eBPF counts, for whom (cgroup, namespace or device), where it is attached and what it costs: [metrics-ebpf.md](metrics-ebpf.md).

This page is made by `omnitide-agent metrics --docs`; a test holds it against the program.
)";

// Families whose names come from the kernel or a file at run time, and those of discovery, which are no collector's.
struct Named {
  std::string_view collector, name, type, what;
};
constexpr std::array kNamed{
    Named{"meminfo", "node_memory_*", "gauge", "Every field of the file in bytes, those without a unit as they are."},
    Named{"vmstat", "node_vmstat_*", "untyped", "Fields of the file that the pattern of the configuration takes."},
    Named{"netstat", "node_netstat_*", "untyped", "Fields of the files that the pattern of the configuration takes."},
    Named{"sockstat", "node_sockstat_*", "gauge", "Sockets by protocol: in use, allocated, memory."},
    Named{"netdev", "node_network_*_total", "counter", "Every counter of an interface, received and transmitted."},
    Named{"textfile", "*", "any", "What the files of the directory say."},
    Named{"zfs", "node_zfs_*", "untyped", "Every statistic of the module, of pools and of datasets."},
    Named{"hwmon", "node_hwmon_*", "gauge", "Every value of a sensor chip, scaled to base units."},
    Named{"rapl", "node_rapl_*_joules_total", "counter", "Energy of a zone, by its name."},
    Named{"bcache", "node_bcache_*", "any", "Statistics of caches and their devices."},
    Named{"powersupplyclass", "node_power_supply_*", "gauge", "Every value of a power supply, scaled to base units."},
    Named{"ipvs", "node_ipvs_*", "any", "Virtual servers, with the labels of the configuration."},
    Named{"agent.discovery", "omnitide_discovery_source_success", "gauge",
          "Whether the last read of a source of discovery gave a complete report."},
    Named{"agent.discovery", "omnitide_discovery_source_duration_seconds", "gauge", "How long that read took."},
    Named{"agent.discovery", "omnitide_hugepages_free", "gauge", "Huge pages of a pool that are not in use."},
    Named{"agent.discovery", "omnitide_uptime_seconds", "gauge", "Time since the kernel started."},
    Named{"agent.discovery", "omnitide_nvme_*", "any", "What a drive's SMART log says, see facts.md."},
    Named{"dmi", "node_dmi_info", "gauge", "What the firmware says of the board, as labels; the value is 1."},
};

// A bar would end the cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string row(const model::MetricDescriptor& family) {
  std::vector<std::string> labels;
  for (const std::string_view label : family.labels)
    labels.push_back(fmt::format("`{}`", label));
  return fmt::format("| `{}` | {} | {} | {} | {} |\n", family.name, model::type_name(family.type, "untyped"),
                     family.unit, join(labels, ", "), cell(family.help));
}

std::string section(const model::Collector& collector) {
  std::string out =
      fmt::format("\n## {}\n\nSource: {}\n\n| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n",
                  collector.name, cell(collector.source));
  std::vector<const model::MetricDescriptor*> families(collector.descriptors.begin(), collector.descriptors.end());
  std::ranges::sort(families, {}, &model::MetricDescriptor::name);
  for (const model::MetricDescriptor* family : families)
    out += row(*family);
  for (const Named& named : kNamed) {
    if (named.collector == collector.name)
      out += fmt::format("| `{}` | {} | | | {} |\n", named.name, named.type, named.what);
  }
  return out;
}

}  // namespace

std::string metrics_documentation(std::vector<model::Collector> collectors) {
  std::ranges::sort(collectors, {}, &model::Collector::name);
  std::string out(kHead);
  for (const model::Collector& collector : collectors)
    out += section(collector);
  return out;
}

}  // namespace omnitide::cli
