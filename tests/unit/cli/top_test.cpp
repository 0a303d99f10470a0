#include <cmath>
#include <fstream>
#include <sstream>

#include "agent/base/text.hpp"
#include "agent/cli/top_bpf.hpp"
#include "agent/cli/top_text.hpp"
#include "agent/cli/top_view.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::cli;

namespace {

void add(MetricSet& set, const std::string& name, MetricLabels labels, double value) {
  set[name].name = name;
  set[name].values.push_back({.labels = std::move(labels), .value = value, .points = {}});
}

void add(MetricSet& set, const std::string& name, MetricLabels labels, std::vector<std::pair<double, double>> points,
         double count) {
  set[name].name = name;
  set[name].values.push_back({.labels = std::move(labels), .points = std::move(points), .sum = 0, .count = count});
}

const MetricLabels kWeb{{"cgroup", "/system.slice/web.service"}, {"unit", "web.service"}};
const MetricLabels kPod{{"cgroup", "/kubepods.slice/x"}, {"container", "shop"}, {"pod", "web-0"}, {"unit", ""}};

// Two seconds of a machine: `t` is 0 or 1.
MetricSet machine(double t) {
  MetricSet out;
  for (const char* cpu : {"0", "1"}) {
    add(out, "node_cpu_seconds_total", {{"cpu", cpu}, {"mode", "idle"}}, 100 + 1.2 * t);
    add(out, "node_cpu_seconds_total", {{"cpu", cpu}, {"mode", "user"}}, 50 + 0.5 * t);
    add(out, "node_cpu_seconds_total", {{"cpu", cpu}, {"mode", "system"}}, 20 + 0.2 * t);
    add(out, "node_cpu_seconds_total", {{"cpu", cpu}, {"mode", "iowait"}}, 3 + 0.1 * t);
  }
  add(out, "node_load1", {}, 0.52);
  add(out, "node_load5", {}, 0.4);
  add(out, "node_load15", {}, 0.33);
  add(out, "node_memory_MemTotal_bytes", {}, 8.0 * (1U << 30U));
  add(out, "node_memory_MemAvailable_bytes", {}, 6.0 * (1U << 30U));
  add(out, "node_memory_SwapTotal_bytes", {}, 2.0 * (1U << 30U));
  add(out, "node_memory_SwapFree_bytes", {}, 1.5 * (1U << 30U));
  add(out, "node_pressure_cpu_waiting_seconds_total", {}, 7 + 0.05 * t);
  add(out, "node_pressure_io_waiting_seconds_total", {}, 9 + 0.4 * t);
  add(out, "node_pressure_io_stalled_seconds_total", {}, 8 + 0.2 * t);
  add(out, "node_pressure_memory_waiting_seconds_total", {}, 0);
  add(out, "node_pressure_memory_stalled_seconds_total", {}, 0);
  for (const auto& [disk, factor] : {std::pair("sda", 1.0), std::pair("nvme0n1", 4.0)}) {
    add(out, "node_disk_read_bytes_total", {{"device", disk}}, 1e6 + factor * t * (1U << 21U));
    add(out, "node_disk_written_bytes_total", {{"device", disk}}, 1e6 + factor * t * (1U << 20U));
    add(out, "node_disk_reads_completed_total", {{"device", disk}}, 10 + factor * t * 50);
    add(out, "node_disk_io_time_seconds_total", {{"device", disk}}, 10 + factor * t * 0.4);
  }
  add(out, "node_network_receive_bytes_total", {{"device", "lo"}}, 5 + t * 1e9);
  add(out, "node_network_receive_bytes_total", {{"device", "eth0"}}, 5 + t * 4096);
  add(out, "node_network_transmit_bytes_total", {{"device", "eth0"}}, 5 + t * 2048);
  add(out, "node_network_receive_drop_total", {{"device", "eth0"}}, 3 + t * 6);
  add(out, "node_netstat_Tcp_RetransSegs", {}, 17 + t * 4);
  return out;
}

MetricSet with_ebpf(double t) {
  MetricSet out = machine(t);
  const auto points = [t](double quick, double slow) {
    return std::vector<std::pair<double, double>>{{0.000001, quick * t}, {0.001024, (quick + slow) * t}};
  };
  add(out, "omnitide_scheduler_wait_seconds", kWeb, points(2000, 0), 2000 * t);
  add(out, "omnitide_scheduler_wait_seconds", kPod, points(90, 10), 100 * t);
  add(out, "omnitide_block_io_latency_seconds", {{"device", "sda"}, {"operation", "read"}}, {{0.001024, 4 * t}}, 4 * t);
  add(out, "omnitide_tcp_connections_total", {{"direction", "out"}}, 5 + 20 * t);
  add(out, "omnitide_tcp_connections_total", {{"direction", "in"}}, 5 + 2 * t);
  add(out, "omnitide_tcp_retransmits_total", kPod, 5 + 3 * t);
  add(out, "omnitide_network_dropped_packets_total", {{"reason", "NO_SOCKET"}, {"device", "eth0"}}, 2 + 4 * t);
  add(out, "omnitide_network_dropped_packets_total", {{"reason", "TCP_CSUM"}, {"device", "eth0"}}, 2);
  add(out, "omnitide_cgroup_cpu_throttled_seconds_total", kPod, 1 + 0.5 * t);
  return out;
}

TopView view_of(const MetricSet& before, const MetricSet& now, TopOrder order = TopOrder::latency) {
  TopView out = make_top_view(before, now, 2, order);
  out.node = "press-7";
  out.time = "12:00:00 UTC";
  return out;
}

std::string golden(const std::string& name) {
  const std::string_view fixtures = OMNITIDE_FIXTURES;
  std::ifstream file(std::string(fixtures.substr(0, fixtures.rfind('/'))) + "/golden/" + name);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE("top's rates are what grew between two collections") {
  const TopView view = view_of(with_ebpf(0), with_ebpf(1));
  CHECK(view.cpu == Approx(0.35));
  CHECK(view.memory_available == 6.0 * (1U << 30U));
  REQUIRE(view.disks.size() == 2);
  CHECK(view.disks[0].name == "nvme0n1");
  CHECK(view.disks[0].busy == Approx(0.8));
  CHECK(view.disks[1].read == Approx(1U << 20U));
  REQUIRE(view.interfaces.size() == 1);  // without lo
  CHECK(view.interfaces[0].in == Approx(2048));
  CHECK(view.interfaces[0].drops == Approx(3));
  REQUIRE(view.pressure.size() == 3);
  CHECK(view.pressure[1].some == Approx(0.2));
  REQUIRE(view.run_queue);
  CHECK(view.run_queue->rate == Approx(1050));
  CHECK(view.run_queue->cells[0] == Approx(1045));
  CHECK(view.run_queue->cells[10] == Approx(5));
  CHECK(view.tcp.opened == Approx(10));
  CHECK(view.tcp.retransmits == Approx(1.5));
  REQUIRE(view.drops.size() == 1);
  CHECK(view.drops[0].name == "NO_SOCKET");
  CHECK(view.without.empty());
}

TEST_CASE("top orders cgroups as it is told") {
  const auto first = [](TopOrder order) { return view_of(with_ebpf(0), with_ebpf(1), order).cgroups.at(0).name; };
  CHECK(first(TopOrder::latency) == "web-0/shop");
  CHECK(first(TopOrder::waits) == "web.service");
  CHECK(first(TopOrder::throttled) == "web-0/shop");
  CHECK(first(TopOrder::retransmits) == "web-0/shop");
}

TEST_CASE("counters that began anew and series that are new have no rate") {
  MetricSet before = machine(1), now = machine(0);
  const TopView view = view_of(before, now);
  CHECK(view.disks.empty());
  CHECK(view.tcp.retransmits == 0);
  CHECK(view_of({}, machine(1)).interfaces.empty());
  CHECK(view_of({}, {}).cpu == 0);
}

TEST_CASE("top without eBPF takes the kernel's own counters and says what is missing") {
  const TopView view = view_of(machine(0), machine(1));
  CHECK_FALSE(view.run_queue);
  CHECK(view.tcp.retransmits == Approx(2));
  const std::string text = top_text(view, {}, {});
  CHECK(text.find("Run queue off: the agent gives no eBPF metrics") != std::string::npos);
}

TEST_CASE("top's screen is as drawn, at 80x24 and when piped") {
  const TopView view = view_of(with_ebpf(0), with_ebpf(1));
  CHECK(top_text(view, {.width = 80, .height = 24}, {}) == golden("top_80x24.txt"));
  CHECK(top_text(view, {.width = 100}, {}) == golden("top_piped.txt"));
}

TEST_CASE("top never writes beyond the screen, however small and whatever names say") {
  TopView view = view_of(with_ebpf(0), with_ebpf(1));
  view.node = "n\x1b[31m" + std::string(300, 'x');
  view.disks[0].name = "d\nd";
  for (int i = 0; i < 50; ++i)
    view.cgroups.emplace_back().name = "ünï-" + std::string(200, 'y');
  for (const std::size_t width : {1U, 9U, 20U, 79U, 200U}) {
    for (const std::size_t height : {1U, 5U, 24U, 60U}) {
      const std::string text = top_text(view, {.width = width, .height = height}, {});
      const auto lines = split(text, '\n');
      CHECK(lines.size() == height + 1);  // the last one is empty
      for (const std::string_view line : lines)
        CHECK(display_width(line) <= width);
      CHECK(text.find('\x1b') == std::string::npos);
    }
  }
}

TEST_CASE("top --bpf shows what programs cost, and what they cost together") {
  const std::vector<collectors::ProgramTime> programs{{7, "runq_switch", "tracing", 2000, std::chrono::milliseconds(1)},
                                                      {9, "other\x1b", "xdp", 10, std::chrono::microseconds(1)}};
  CHECK(bpf_text(programs, std::chrono::seconds(2), {}) ==
        "ID  PROGRAM      TYPE     RUNS/s  NS/RUN     CPU\n"
        " 7  runq_switch  tracing    1.0k     500  0.050%\n"
        " 9  other\\x1b    xdp         5.0     100  0.000%\n"
        "\n2 programs ran in 2.0 s and took 0.050% of one CPU.\n");
  CHECK(bpf_text({}, std::chrono::seconds(2), {}) == "No eBPF program ran in 2.0 s.\n");
}
