// Every collector against prometheus-node-exporter on the same tree of files: hardware that no test machine has.
#include <array>

#include "discovery/collectors/catalogue.hpp"
#include "tests/harness/batches.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collector_tree.hpp"
#include "tests/harness/exposition.hpp"
#include "tests/harness/peer.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

bool begins_with_one_of(const std::string& name, std::initializer_list<std::string_view> prefixes) {
  for (const std::string_view prefix : prefixes)
    if (name.starts_with(prefix)) return true;
  return false;
}

// Families that do not come from the tree.
bool is_elsewhere(const std::string& name) {
  return begins_with_one_of(name,
                            {"go_", "promhttp_", "process_", "node_exporter_build_info",
                             // of the test machine's kernel, by system calls; peer_test.cpp compares them
                             "node_uname_", "node_timex_", "node_time_seconds", "node_time_zone", "node_filesystem_",
                             // of the scrape itself
                             "node_scrape_", "node_textfile_",
                             // selinuxfs is looked for among the mounts of the test machine
                             "node_selinux_"});
}

// What the peer has wrong, or has only since a later release. Each with its reason.
bool is_known_difference(const std::string& series) {
  return begins_with_one_of(
      series,
      {// 1.5.0 counts the columns of /proc/net/rpc/nfsd without SETCLIENTID and SETCLIENTID_CONFIRM, and so gives these
       // the values of others; later releases count as RFC 7530 numbers the operations.
       "node_nfsd_requests_total{method=\"Verify\",proto=\"4\"}",
       "node_nfsd_requests_total{method=\"Write\",proto=\"4\"}",
       "node_nfsd_requests_total{method=\"RelLockOwner\",proto=\"4\"}",
       // A state of pools that 1.5.0 does not know.
       "node_zfs_zpool_state{state=\"suspended\","});
}

// The peer puts the place of its files into the value of a label.
std::string without(std::string text, const std::string& part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at))
    text.erase(at, part.size());
  return text;
}

}  // namespace

TEST_CASE("on one tree of files node_exporter and the collectors say the same") {
  TempTree tree;
  build_collector_tree(tree);
  const std::string root = tree.path();
  const Peer peer(
      root, {"--path.procfs=" + root + "/proc", "--path.sysfs=" + root + "/sys", "--path.rootfs=" + root,
             "--path.udev.data=" + root + "/run/udev/data", "--no-collector.systemd", "--no-collector.netdev.netlink",
             "--no-collector.filesystem", "--collector.stat.softirq", "--collector.bcache.priorityStats"});
  model::CollectorSettings settings;
  for (std::size_t i = 0; i < settings.values.size(); ++i)
    if (model::kCollectorFlags.at(i).name == "stat.softirq" ||
        model::kCollectorFlags.at(i).name == "bcache.priority_stats")
      settings.values.at(i) = "true";
  const Scrape theirs = parse_scrape(without(peer.text(), root));
  const Scrape ours = collect_all(discovery::node_collectors(tree.root(), settings));
  std::size_t compared = 0;
  for (const auto& [name, family] : theirs) {
    if (is_elsewhere(name)) continue;
    CAPTURE(name);
    const auto own = ours.find(name);
    CHECK(own != ours.end());
    if (own == ours.end()) continue;
    CHECK(own->second.type == family.type);
    for (const auto& [series, value] : family.series) {
      CAPTURE(series);
      if (is_known_difference(series)) continue;
      const auto same = own->second.series.find(series);
      CHECK(same != own->second.series.end());
      if (same == own->second.series.end()) continue;
      CHECK(same->second == Approx(value).epsilon(1e-12));
      ++compared;
    }
    for (const auto& [series, value] : own->second.series) {
      CAPTURE(series, value);
      CHECK((family.series.contains(series) || is_known_difference(series)));
    }
  }
  // So that a tree that has lost its files does not pass.
  CHECK(compared > 600);
  for (const std::string_view part :
       {"node_bcache_",       "node_bonding_",    "node_btrfs_",        "node_edac_", "node_fibrechannel_",
        "node_hwmon_",        "node_infiniband_", "node_ipvs_",         "node_md_",   "node_nfs_",
        "node_nfsd_",         "node_nvme_",       "node_power_supply_", "node_rapl_", "node_tape_",
        "node_thermal_zone_", "node_xfs_",        "node_zfs_",          "node_dmi_",  "node_cooling_"}) {
    CAPTURE(part);
    CHECK(std::ranges::any_of(theirs, [part](const auto& each) { return each.first.starts_with(part); }));
  }
}
