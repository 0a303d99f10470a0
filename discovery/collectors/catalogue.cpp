#include "discovery/collectors/catalogue.hpp"

#include <chrono>
#include <functional>
#include <optional>

#include "discovery/collectors/collectors.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::chrono::seconds kAbsentFor{10};

// Hardware that is not there is looked for every ten seconds only: a look-up of a name that is not there costs the
// kernel more than reading one that is.
Collector seldom_while_absent(Collector collector) {
  struct State {
    std::function<Result<>(model::SampleBatch&)> collect;
    std::optional<Error> absent;
    std::chrono::steady_clock::time_point asked;
  };
  const auto state = std::make_shared<State>(State{std::move(collector.collect), std::nullopt, {}});
  collector.collect = [state](model::SampleBatch& batch) -> Result<> {
    const auto now = std::chrono::steady_clock::now();
    if (state->absent && now - state->asked < kAbsentFor) return *state->absent;
    Result<> collected = state->collect(batch);
    state->asked = now;
    state->absent.reset();
    if (collected.has_error() && collected.error().code == Code::not_found) state->absent = collected.error();
    return collected;
  };
  return collector;
}

}  // namespace

std::vector<Collector> node_collectors(const Root& root, const Settings& settings) {
  const auto proc_stat = std::make_shared<SharedFile>(root, "/proc/stat");
  const std::shared_ptr<LinkTable> links = make_link_table(root);
  std::vector<Collector> out;
  out.push_back(arp_collector(root, settings));
  out.push_back(seldom_while_absent(conntrack_collector(root)));
  out.push_back(cpu_collector(root, settings, proc_stat));
  out.push_back(stat_collector(root, settings, proc_stat));
  out.push_back(cpufreq_collector(root));
  out.push_back(diskstats_collector(root, settings));
  out.push_back(entropy_collector(root));
  out.push_back(filefd_collector(root));
  out.push_back(seldom_while_absent(kernel_hung_collector(root)));
  out.push_back(loadavg_collector(root));
  out.push_back(meminfo_collector(root));
  out.push_back(netclass_collector(root, settings, links));
  out.push_back(netdev_collector(root, settings, links));
  out.push_back(netstat_collector(root, settings));
  out.push_back(os_collector(root));
  out.push_back(seldom_while_absent(pressure_collector(root)));
  out.push_back(seldom_while_absent(schedstat_collector(root)));
  out.push_back(sockstat_collector(root));
  out.push_back(softnet_collector(root));
  out.push_back(time_collector(root));
  out.push_back(timex_collector(root));
  out.push_back(udp_queues_collector(root));
  out.push_back(uname_collector(root));
  out.push_back(vmstat_collector(root, settings));
  out.push_back(seldom_while_absent(bcache_collector(root, settings)));
  out.push_back(seldom_while_absent(bonding_collector(root)));
  out.push_back(seldom_while_absent(dmi_collector(root)));
  out.push_back(seldom_while_absent(dmmultipath_collector(root)));
  out.push_back(seldom_while_absent(edac_collector(root)));
  out.push_back(seldom_while_absent(ipvs_collector(root, settings)));
  out.push_back(seldom_while_absent(mdadm_collector(root)));
  out.push_back(seldom_while_absent(nfs_collector(root)));
  out.push_back(seldom_while_absent(nfsd_collector(root)));
  out.push_back(seldom_while_absent(nvme_collector(root)));
  out.push_back(seldom_while_absent(rapl_collector(root, settings)));
  out.push_back(selinux_collector(root));
  out.push_back(seldom_while_absent(tapestats_collector(root, settings)));
  out.push_back(seldom_while_absent(watchdog_collector(root)));
  out.push_back(seldom_while_absent(xfs_collector(root)));
  out.push_back(seldom_while_absent(zfs_collector(root)));
  // From here on they may have to wait.
  out.push_back(filesystem_collector(root, settings));
  out.push_back(seldom_while_absent(btrfs_collector(root)));
  out.push_back(seldom_while_absent(fibrechannel_collector(root)));
  out.push_back(seldom_while_absent(hwmon_collector(root)));
  out.push_back(seldom_while_absent(infiniband_collector(root)));
  out.push_back(seldom_while_absent(powersupplyclass_collector(root, settings)));
  out.push_back(systemd_collector(root, settings));
  out.push_back(textfile_collector(root, settings));
  out.push_back(seldom_while_absent(thermal_zone_collector(root)));
  std::erase_if(out, [&settings](const Collector& each) { return !settings.enabled(each.name); });
  return out;
}

}  // namespace omnitide::discovery
