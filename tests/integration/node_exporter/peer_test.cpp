// The agent beside prometheus-node-exporter on this machine: the same families, types, labels and values.
#include "tests/harness/peer.hpp"

#include <algorithm>
#include <set>

#include "tests/harness/catch.hpp"
#include "tests/harness/exposition.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/running_agent.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

// Families of the peer that are not of the node. Everything else must be there.
bool is_of_the_go_runtime(const std::string& name) {
  return name.starts_with("go_") ||           // its garbage collector and threads
         name.starts_with("promhttp_") ||     // its HTTP handler
         name == "node_exporter_build_info";  // its own version
}

// The values are of the scraping program itself, and so differ.
bool is_of_the_program(const std::string& name) {
  return name.starts_with("process_") || name == "node_scrape_collector_duration_seconds";
}

// What moves up and down faster than two scrapes follow each other: how far it may be away from both, of its value.
double slack_of(const std::string& name) {
  if (name.starts_with("node_memory_") || name.starts_with("node_filesystem_")) return 0.02;
  if (name.starts_with("node_load") || name.starts_with("node_procs_") || name.starts_with("node_sockstat_") ||
      name.starts_with("node_filefd_") || name.starts_with("node_netstat_Tcp_CurrEstab") ||
      name.starts_with("node_entropy_") || name.starts_with("node_timex_") || name.starts_with("node_disk_io_now") ||
      name.starts_with("node_udp_queues") || name.starts_with("node_arp_"))
    return 0.5;
  return 0;
}

// In the order of three scrapes: the peer's, ours, the peer's.
bool lies_between(double before, double value, double after, double slack) {
  if (same_value(before, value) || same_value(after, value)) return true;
  const double least = std::min(before, after), most = std::max(before, after);
  const double room = slack * std::max(std::abs(least), std::abs(most)) + (slack > 0 ? 2 : 0);
  return value >= least - room && value <= most + room;
}

}  // namespace

TEST_CASE("every family of node_exporter on this machine is there, with its type, labels and values") {
  TempTree files;
  // Debian's package has systemd's units on by default.
  const RunningAgent agent(files.path(), "metrics: {collectors: {enable: [systemd]}}\n");
  const Peer peer(files.path(), {});
  (void)agent.text();          // counters that never step back begin with the first scrape, on both sides
  std::set<std::string> open;  // series whose value was not yet seen to be right
  std::size_t compared = 0;
  for (int round = 0; round < 20 && (round == 0 || !open.empty()); ++round) {
    const Scrape before = parse_scrape(peer.text());
    const Scrape ours = parse_scrape(agent.text());
    const Scrape after = parse_scrape(peer.text());
    for (const auto& [name, family] : before) {
      if (is_of_the_go_runtime(name) || !after.contains(name)) continue;
      CAPTURE(name);
      REQUIRE(ours.contains(name));
      const ScrapedFamily& own = ours.at(name);
      CHECK(own.type == family.type);
      for (const auto& [series, value] : own.series) {
        CAPTURE(series, value);
        // Collectors that this agent has beside the peer's: watchdog, and those of eBPF.
        const bool more = name.starts_with("node_scrape_") && (series.find("\"watchdog\"") != std::string::npos ||
                                                               series.find("\"ebpf.") != std::string::npos);
        CHECK((family.series.contains(series) || after.at(name).series.contains(series) || more));
      }
      for (const auto& [series, value] : family.series) {
        const auto later = after.at(name).series.find(series);
        if (later == after.at(name).series.end()) continue;  // gone between the peer's own two scrapes
        CAPTURE(series, value);
        REQUIRE(own.series.contains(series));
        if (is_of_the_program(name)) continue;
        const bool right = lies_between(value, own.series.at(series), later->second, slack_of(name));
        if (round == 0 && !right) open.insert(series);
        if (right) open.erase(series);
        if (round == 0) ++compared;
      }
    }
  }
  CAPTURE(open);
  CHECK(open.empty());
  CHECK(compared > 250);
}

TEST_CASE("switches and filters under node_exporter's names do what they do there") {
  TempTree files;
  const RunningAgent agent(files.path(),
                           "metrics:\n  collectors:\n    disable: [arp, meminfo]\n    netdev.device_exclude: ^$\n"
                           "    vmstat: {fields: ^pgfree$}\n    cpu.guest: false\n    stat: {softirq: true}\n");
  const Peer peer(files.path(), {"--no-collector.arp", "--no-collector.meminfo", "--collector.netdev.device-exclude=^$",
                                 "--collector.vmstat.fields=^pgfree$", "--no-collector.cpu.guest",
                                 "--collector.stat.softirq", "--no-collector.systemd"});
  const Scrape theirs = parse_scrape(peer.text()), ours = parse_scrape(agent.text());
  for (const auto& [name, family] : theirs) {
    if (is_of_the_go_runtime(name)) continue;
    CAPTURE(name);
    CHECK(ours.contains(name));
  }
  for (const auto& [name, family] : ours) {
    CAPTURE(name);
    CHECK((theirs.contains(name) || !name.starts_with("node_")));
  }
  CHECK(ours.contains("node_softirqs_total"));
  CHECK(ours.at("node_network_up").series.contains("node_network_up{device=\"lo\"}"));
  CHECK(ours.at("node_network_receive_bytes_total").series.contains("node_network_receive_bytes_total{device=\"lo\"}"));
}
