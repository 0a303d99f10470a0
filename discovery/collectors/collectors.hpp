// One function a collector; inside of the room. They keep what they open between two collections. `root` is copied.
#pragma once

#include <memory>
#include <string>

#include "agent/base/root.hpp"
#include "agent/model/collector.hpp"
#include "agent/model/collector_settings.hpp"
#include "discovery/collectors/kept_file.hpp"

namespace omnitide::discovery {

using model::Collector;
using Settings = model::CollectorSettings;

inline constexpr std::chrono::milliseconds kQuick{500};     // the kernel answers from memory
inline constexpr std::chrono::milliseconds kPatient{1000};  // a device, a server or another program answers

// A collector that reads one file: parse(content, batch) -> Result<>. What parse captures is kept.
template <std::size_t N, class Parse>
[[nodiscard]] Collector file_collector(std::string_view name, const std::array<const model::MetricDescriptor*, N>& all,
                                       const Root& root, std::string_view path, Parse parse) {
  struct State {
    KeptFile file;
    Parse parse;
  };
  const auto state = std::make_shared<State>(State{KeptFile(root, std::string(path)), std::move(parse)});
  const auto collect = [state](model::SampleBatch& batch) -> Result<> {
    const Result<std::string_view> text = state->file.read();
    if (text.has_error()) return text.error();
    return state->parse(*text, batch);
  };
  return {name, all, collect, path, kQuick};
}

// procfs
Collector arp_collector(const Root& root, const Settings& settings);
Collector conntrack_collector(const Root& root);
Collector cpu_collector(const Root& root, const Settings& settings, std::shared_ptr<SharedFile> proc_stat);
Collector diskstats_collector(const Root& root, const Settings& settings);
Collector entropy_collector(const Root& root);
Collector filefd_collector(const Root& root);
Collector filesystem_collector(const Root& root, const Settings& settings);
Collector ipvs_collector(const Root& root, const Settings& settings);
Collector kernel_hung_collector(const Root& root);
Collector loadavg_collector(const Root& root);
Collector mdadm_collector(const Root& root);
Collector meminfo_collector(const Root& root);
Collector netstat_collector(const Root& root, const Settings& settings);
Collector nfs_collector(const Root& root);
Collector nfsd_collector(const Root& root);
Collector pressure_collector(const Root& root);
Collector schedstat_collector(const Root& root);
Collector sockstat_collector(const Root& root);
Collector softnet_collector(const Root& root);
Collector stat_collector(const Root& root, const Settings& settings, std::shared_ptr<SharedFile> proc_stat);
Collector udp_queues_collector(const Root& root);
Collector vmstat_collector(const Root& root, const Settings& settings);
Collector zfs_collector(const Root& root);

// sysfs
Collector bcache_collector(const Root& root, const Settings& settings);
Collector bonding_collector(const Root& root);
Collector btrfs_collector(const Root& root);
Collector cpufreq_collector(const Root& root);
Collector dmi_collector(const Root& root);
Collector dmmultipath_collector(const Root& root);
Collector edac_collector(const Root& root);
Collector fibrechannel_collector(const Root& root);
Collector hwmon_collector(const Root& root);
Collector infiniband_collector(const Root& root);
Collector nvme_collector(const Root& root);
Collector powersupplyclass_collector(const Root& root, const Settings& settings);
Collector rapl_collector(const Root& root, const Settings& settings);
Collector selinux_collector(const Root& root);
Collector tapestats_collector(const Root& root, const Settings& settings);
Collector thermal_zone_collector(const Root& root);
Collector watchdog_collector(const Root& root);
Collector xfs_collector(const Root& root);

// rtnetlink on the machine, files in a fixture
class LinkTable;
[[nodiscard]] std::shared_ptr<LinkTable> make_link_table(const Root& root);
Collector netclass_collector(const Root& root, const Settings& settings, std::shared_ptr<LinkTable> links);
Collector netdev_collector(const Root& root, const Settings& settings, std::shared_ptr<LinkTable> links);

// system calls and other programs
Collector os_collector(const Root& root);
Collector systemd_collector(const Root& root, const Settings& settings);
Collector textfile_collector(const Root& root, const Settings& settings);
Collector time_collector(const Root& root);
Collector timex_collector(const Root& root);
Collector uname_collector(const Root& root);

}  // namespace omnitide::discovery
