#include "discovery/collectors/catalogue.hpp"

#include "discovery/collectors/collectors.hpp"

namespace omnitide::discovery {

std::vector<Collector> node_collectors(const Root& root, const Settings& settings) {
  const auto proc_stat = std::make_shared<SharedFile>(root, "/proc/stat");
  const std::shared_ptr<LinkTable> links = make_link_table(root);
  std::vector<Collector> out;
  out.push_back(arp_collector(root, settings));
  out.push_back(conntrack_collector(root));
  out.push_back(cpu_collector(root, settings, proc_stat));
  out.push_back(stat_collector(root, settings, proc_stat));
  out.push_back(cpufreq_collector(root));
  out.push_back(diskstats_collector(root, settings));
  out.push_back(entropy_collector(root));
  out.push_back(filefd_collector(root));
  out.push_back(kernel_hung_collector(root));
  out.push_back(loadavg_collector(root));
  out.push_back(meminfo_collector(root));
  out.push_back(netclass_collector(root, settings, links));
  out.push_back(netdev_collector(root, settings, links));
  out.push_back(netstat_collector(root, settings));
  out.push_back(os_collector(root));
  out.push_back(pressure_collector(root));
  out.push_back(schedstat_collector(root));
  out.push_back(sockstat_collector(root));
  out.push_back(softnet_collector(root));
  out.push_back(time_collector(root));
  out.push_back(timex_collector(root));
  out.push_back(udp_queues_collector(root));
  out.push_back(uname_collector(root));
  out.push_back(vmstat_collector(root, settings));
  out.push_back(bcache_collector(root, settings));
  out.push_back(bonding_collector(root));
  out.push_back(dmi_collector(root));
  out.push_back(dmmultipath_collector(root));
  out.push_back(edac_collector(root));
  out.push_back(ipvs_collector(root, settings));
  out.push_back(mdadm_collector(root));
  out.push_back(nfs_collector(root));
  out.push_back(nfsd_collector(root));
  out.push_back(nvme_collector(root));
  out.push_back(rapl_collector(root, settings));
  out.push_back(selinux_collector(root));
  out.push_back(tapestats_collector(root, settings));
  out.push_back(watchdog_collector(root));
  out.push_back(xfs_collector(root));
  out.push_back(zfs_collector(root));
  // From here on they may have to wait.
  out.push_back(filesystem_collector(root, settings));
  out.push_back(btrfs_collector(root));
  out.push_back(fibrechannel_collector(root));
  out.push_back(hwmon_collector(root));
  out.push_back(infiniband_collector(root));
  out.push_back(powersupplyclass_collector(root, settings));
  out.push_back(systemd_collector(root, settings));
  out.push_back(textfile_collector(root, settings));
  out.push_back(thermal_zone_collector(root));
  std::erase_if(out, [&settings](const Collector& each) { return !settings.enabled(each.name); });
  return out;
}

}  // namespace omnitide::discovery
