#include "agent/cli/top_view.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>

namespace omnitide::cli {

namespace {

using Filter = std::initializer_list<std::pair<std::string_view, std::string_view>>;

const MetricFamily* find(const MetricSet& set, std::string_view name) {
  const auto found = set.find(name);
  return found == set.end() ? nullptr : &found->second;
}

std::string label(const MetricValue& value, std::string_view name) {
  for (const auto& [key, text] : value.labels)
    if (key == name) return text;
  return {};
}

bool fits(const MetricValue& value, Filter filter) {
  return std::all_of(filter.begin(), filter.end(),
                     [&value](const auto& wanted) { return label(value, wanted.first) == wanted.second; });
}

double gauge(const MetricSet& set, std::string_view name) {
  const MetricFamily* family = find(set, name);
  return family == nullptr || family->values.empty() ? 0 : family->values.front().value;
}

// How a counter grew, by the labels of its series. One that is new, or began anew, has no growth yet.
class Growth {
 public:
  Growth(const MetricSet& before, const MetricSet& now, double seconds)
      : before_(before), now_(now), seconds_(seconds > 0 ? seconds : 1) {}

  // Calls `use` with every series of the family that is in both, and its growth a second.
  template <class Use>
  void each(std::string_view name, Filter filter, Use use) const {
    each_pair(name, filter, [&use, this](const MetricValue& old, const MetricValue& value) {
      if (value.value >= old.value) use(value, (value.value - old.value) / seconds_);
    });
  }
  [[nodiscard]] double sum(std::string_view name, Filter filter = {}) const {
    double out = 0;
    each(name, filter, [&out](const MetricValue&, double rate) { out += rate; });
    return out;
  }
  // Histograms of what came in between.
  template <class Use>
  void each_histogram(std::string_view name, Use use) const {
    each_pair(name, {}, [&use](const MetricValue& old, const MetricValue& value) {
      if (value.count < old.count || value.points.size() != old.points.size()) return;
      MetricValue grown = value;
      grown.count -= old.count;
      grown.sum -= old.sum;
      for (std::size_t i = 0; i < grown.points.size(); ++i)
        grown.points[i].second -= old.points[i].second;
      use(grown);
    });
  }
  [[nodiscard]] double seconds() const { return seconds_; }

 private:
  template <class Use>
  void each_pair(std::string_view name, Filter filter, Use use) const {
    const MetricFamily* old = find(before_, name);
    const MetricFamily* family = find(now_, name);
    if (old == nullptr || family == nullptr) return;
    std::map<MetricLabels, const MetricValue*> known;
    for (const MetricValue& value : old->values)
      known.emplace(value.labels, &value);
    for (const MetricValue& value : family->values) {
      const auto found = known.find(value.labels);
      if (found != known.end() && fits(value, filter)) use(*found->second, value);
    }
  }

  const MetricSet& before_;
  const MetricSet& now_;
  double seconds_;
};

void add_to(MetricValue& total, const MetricValue& one) {
  if (total.points.empty())
    total.points = one.points;
  else if (total.points.size() == one.points.size())
    for (std::size_t i = 0; i < one.points.size(); ++i)
      total.points[i].second += one.points[i].second;
  total.count += one.count;
  total.sum += one.sum;
}

std::size_t cell_of(double seconds) {
  const double micros = seconds * 1e6;
  if (micros <= 1) return 0;
  return std::min(TopHeat::kCells - 1, static_cast<std::size_t>(std::ceil(std::log2(micros) - 1e-6)));
}

std::optional<TopHeat> heat(const Growth& growth, const MetricSet& now, std::string_view name) {
  if (find(now, name) == nullptr) return std::nullopt;
  MetricValue total;
  growth.each_histogram(name, [&total](const MetricValue& one) { add_to(total, one); });
  TopHeat out;
  double below = 0;
  for (const auto& [bound, count] : total.points) {
    out.cells.at(cell_of(bound)) += (count - below) / growth.seconds();
    below = count;
  }
  out.cells.back() += (total.count - below) / growth.seconds();
  out.rate = total.count / growth.seconds();
  out.p50 = quantile(total, 0.5);
  out.p99 = quantile(total, 0.99);
  return out;
}

void add_cpu(const Growth& growth, const MetricSet& now, TopView& out) {
  std::map<std::string, double> modes;
  double all = 0;
  growth.each("node_cpu_seconds_total", {}, [&](const MetricValue& value, double rate) {
    modes[label(value, "mode")] += rate;
    all += rate;
  });
  const bool known = all > 0;
  if (!known) all = 1;
  for (const char* mode : {"user", "nice", "system", "iowait", "irq", "softirq", "steal"})
    out.modes.push_back({mode, modes[mode] / all});
  out.cpu = !known ? 0 : std::max(0.0, 1 - (modes["idle"] + modes["iowait"]) / all);
  out.load = {gauge(now, "node_load1"), gauge(now, "node_load5"), gauge(now, "node_load15")};
  out.memory = gauge(now, "node_memory_MemTotal_bytes");
  out.memory_available = gauge(now, "node_memory_MemAvailable_bytes");
  out.swap = gauge(now, "node_memory_SwapTotal_bytes");
  out.swap_free = gauge(now, "node_memory_SwapFree_bytes");
}

void add_pressure(const Growth& growth, const MetricSet& now, TopView& out) {
  if (find(now, "node_pressure_cpu_waiting_seconds_total") == nullptr) return;
  out.pressure.push_back({"cpu", growth.sum("node_pressure_cpu_waiting_seconds_total"), std::nullopt});
  out.pressure.push_back({"io", growth.sum("node_pressure_io_waiting_seconds_total"),
                          growth.sum("node_pressure_io_stalled_seconds_total")});
  out.pressure.push_back({"memory", growth.sum("node_pressure_memory_waiting_seconds_total"),
                          growth.sum("node_pressure_memory_stalled_seconds_total")});
}

void add_disks(const Growth& growth, TopView& out) {
  std::map<std::string, TopDisk> disks;
  const auto add = [&](const char* name, double TopDisk::*field) {
    growth.each(name, {}, [&](const MetricValue& value, double rate) { disks[label(value, "device")].*field += rate; });
  };
  add("node_disk_read_bytes_total", &TopDisk::read);
  add("node_disk_written_bytes_total", &TopDisk::write);
  add("node_disk_reads_completed_total", &TopDisk::operations);
  add("node_disk_writes_completed_total", &TopDisk::operations);
  add("node_disk_io_time_seconds_total", &TopDisk::busy);
  for (auto& [name, disk] : disks) {
    disk.name = name;
    out.disks.push_back(disk);
  }
  std::ranges::stable_sort(out.disks, std::greater<>(),
                           [](const TopDisk& disk) { return std::pair(disk.busy, disk.read + disk.write); });
}

void add_interfaces(const Growth& growth, TopView& out) {
  std::map<std::string, TopInterface> interfaces;
  const auto add = [&](const char* name, double TopInterface::*field) {
    growth.each(name, {},
                [&](const MetricValue& value, double rate) { interfaces[label(value, "device")].*field += rate; });
  };
  add("node_network_receive_bytes_total", &TopInterface::in);
  add("node_network_transmit_bytes_total", &TopInterface::out);
  add("node_network_receive_drop_total", &TopInterface::drops);
  add("node_network_transmit_drop_total", &TopInterface::drops);
  add("node_network_receive_errs_total", &TopInterface::errors);
  add("node_network_transmit_errs_total", &TopInterface::errors);
  interfaces.erase("lo");
  for (auto& [name, one] : interfaces) {
    one.name = name;
    out.interfaces.push_back(one);
  }
  std::ranges::stable_sort(out.interfaces, std::greater<>(), [](const TopInterface& one) { return one.in + one.out; });
}

void add_tcp(const Growth& growth, const MetricSet& now, TopView& out) {
  const bool seen = find(now, "omnitide_tcp_connections_total") != nullptr;
  if (seen) {
    out.tcp = {.opened = growth.sum("omnitide_tcp_connections_total", {{"direction", "out"}}),
               .accepted = growth.sum("omnitide_tcp_connections_total", {{"direction", "in"}}),
               .failed = growth.sum("omnitide_tcp_connect_failures_total"),
               .resets = growth.sum("omnitide_tcp_resets_total"),
               .retransmits = growth.sum("omnitide_tcp_retransmits_total")};
  } else {
    out.tcp = {.opened = growth.sum("node_netstat_Tcp_ActiveOpens"),
               .accepted = growth.sum("node_netstat_Tcp_PassiveOpens"),
               .failed = growth.sum("node_netstat_Tcp_AttemptFails"),
               .resets = growth.sum("node_netstat_Tcp_OutRsts"),
               .retransmits = growth.sum("node_netstat_Tcp_RetransSegs")};
  }
  std::map<std::string, double> reasons;
  growth.each("omnitide_network_dropped_packets_total", {},
              [&](const MetricValue& value, double rate) { reasons[label(value, "reason")] += rate; });
  for (const auto& [reason, rate] : reasons)
    if (rate > 0) out.drops.push_back({reason, rate});
  std::ranges::stable_sort(out.drops, std::greater<>(), &TopShare::value);
}

std::string cgroup_name(const MetricValue& value) {
  // By Kubernetes' names "POD/CONTAINER", which a human knows; the id is what is left of a container without them.
  if (std::string pod = label(value, "pod"); !pod.empty()) {
    const std::string container = label(value, "container");
    return container.empty() ? pod : pod + "/" + container;
  }
  for (const char* name : {"container_id", "unit", "cgroup"})
    if (std::string text = label(value, name); !text.empty()) return text;
  return "other";
}

void add_cgroups(const Growth& growth, TopOrder order, TopView& out) {
  std::map<std::string, TopCgroup> rows;
  std::map<std::string, MetricValue> waits;
  growth.each_histogram("omnitide_scheduler_wait_seconds",
                        [&waits](const MetricValue& one) { add_to(waits[cgroup_name(one)], one); });
  for (const auto& [name, total] : waits) {
    TopCgroup& row = rows[name];
    row.waits = total.count / growth.seconds();
    row.p50 = quantile(total, 0.5);
    row.p99 = quantile(total, 0.99);
  }
  growth.each("omnitide_cgroup_cpu_throttled_seconds_total", {},
              [&rows](const MetricValue& value, double rate) { rows[cgroup_name(value)].throttled += rate; });
  growth.each("omnitide_tcp_retransmits_total", {},
              [&rows](const MetricValue& value, double rate) { rows[cgroup_name(value)].retransmits += rate; });
  for (auto& [name, row] : rows) {
    row.name = name;
    if (row.waits > 0 || row.throttled > 0 || row.retransmits > 0) out.cgroups.push_back(row);
  }
  std::ranges::stable_sort(out.cgroups, std::greater<>(), [order](const TopCgroup& row) {
    switch (order) {
      case TopOrder::waits: return row.waits;
      case TopOrder::throttled: return row.throttled;
      case TopOrder::retransmits: return row.retransmits;
      case TopOrder::latency: break;
    }
    return row.p99.value_or(0);
  });
}

}  // namespace

TopView make_top_view(const MetricSet& before, const MetricSet& now, double seconds, TopOrder order) {
  const Growth growth(before, now, seconds);
  TopView out;
  out.seconds = seconds;
  add_cpu(growth, now, out);
  add_pressure(growth, now, out);
  add_disks(growth, out);
  add_interfaces(growth, out);
  add_tcp(growth, now, out);
  out.run_queue = heat(growth, now, "omnitide_scheduler_wait_seconds");
  out.block_io = heat(growth, now, "omnitide_block_io_latency_seconds");
  add_cgroups(growth, order, out);
  if (!out.run_queue && !out.block_io) out.without = "the agent gives no eBPF metrics";
  return out;
}

}  // namespace omnitide::cli
