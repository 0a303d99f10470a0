// The collectors that node_exporter has too, and their switches under the names of its flags: --collector.netdev and
// --collector.netdev.device-exclude are "netdev" and "netdev.device_exclude" here. Defaults are those of Debian's
// package.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace omnitide::model {

struct CollectorSwitch {
  std::string_view name;
  bool on = true;         // by default
  std::string_view what;  // for people, without a full stop
};

inline constexpr std::array kCollectorSwitches{
    CollectorSwitch{"arp", true, "Entries of the ARP table by device"},
    CollectorSwitch{"bcache", true, "Block caches"},
    CollectorSwitch{"bonding", true, "Bonded devices and their slaves"},
    CollectorSwitch{"btrfs", true, "Btrfs filesystems: space, devices, errors, commits"},
    CollectorSwitch{"conntrack", true, "The connection tracking table"},
    CollectorSwitch{"cpu", true, "CPU time by mode, throttling"},
    CollectorSwitch{"cpufreq", true, "CPU frequencies"},
    CollectorSwitch{"diskstats", true, "I/O of block devices"},
    CollectorSwitch{"dmi", true, "What the firmware says about board and chassis"},
    CollectorSwitch{"dmmultipath", false, "Multipath devices and their paths"},
    CollectorSwitch{"edac", true, "Memory errors"},
    CollectorSwitch{"entropy", true, "The kernel's entropy pool"},
    CollectorSwitch{"fibrechannel", true, "Fibre Channel host ports"},
    CollectorSwitch{"filefd", true, "Open files of the whole node"},
    CollectorSwitch{"filesystem", true, "Space and inodes of mounted filesystems"},
    CollectorSwitch{"hwmon", true, "Sensors: temperatures, fans, voltages, power"},
    CollectorSwitch{"infiniband", true, "InfiniBand ports"},
    CollectorSwitch{"ipvs", true, "IP virtual servers"},
    CollectorSwitch{"kernel_hung", false, "Tasks that the kernel found hung"},
    CollectorSwitch{"loadavg", true, "Load averages"},
    CollectorSwitch{"mdadm", true, "Software RAID"},
    CollectorSwitch{"meminfo", true, "Memory"},
    CollectorSwitch{"netclass", true, "Attributes of network devices"},
    CollectorSwitch{"netdev", true, "Traffic of network devices"},
    CollectorSwitch{"netstat", true, "Counters of the network protocols"},
    CollectorSwitch{"nfs", true, "The NFS client"},
    CollectorSwitch{"nfsd", true, "The NFS server"},
    CollectorSwitch{"nvme", true, "NVMe controllers"},
    CollectorSwitch{"os", true, "The operating system's name and version"},
    CollectorSwitch{"powersupplyclass", true, "Batteries and power supplies"},
    CollectorSwitch{"pressure", true, "Pressure stall information"},
    CollectorSwitch{"rapl", true, "Energy by RAPL zone"},
    CollectorSwitch{"schedstat", true, "Time that tasks ran and waited for CPUs"},
    CollectorSwitch{"selinux", true, "SELinux' modes"},
    CollectorSwitch{"sockstat", true, "Sockets by protocol"},
    CollectorSwitch{"softnet", true, "Packets handled by each CPU"},
    CollectorSwitch{"stat", true, "Boot time, forks, interrupts, context switches"},
    CollectorSwitch{"systemd", false, "Units of systemd, asked over D-Bus"},
    CollectorSwitch{"tapestats", true, "I/O of tape drives"},
    CollectorSwitch{"textfile", true, "Metrics that other programs leave in files"},
    CollectorSwitch{"thermal_zone", true, "Thermal zones and cooling devices"},
    CollectorSwitch{"time", true, "The clock, its zone and its sources"},
    CollectorSwitch{"timex", true, "How the kernel steers the clock"},
    CollectorSwitch{"udp_queues", true, "Bytes in the queues of UDP sockets"},
    CollectorSwitch{"uname", true, "The kernel's name and version"},
    CollectorSwitch{"vmstat", true, "Paging and OOM kills"},
    CollectorSwitch{"watchdog", true, "Hardware watchdogs"},
    CollectorSwitch{"xfs", true, "XFS filesystems"},
    CollectorSwitch{"zfs", true, "ZFS: caches, pools, datasets"},
};

inline constexpr std::string_view kIpvsLabels = "local_address,local_port,remote_address,remote_port,proto,local_mark";

enum class FlagKind : std::uint8_t { boolean, pattern, path, ipvs_labels };

struct CollectorFlag {
  std::string_view name;  // "netdev.device_exclude"
  FlagKind kind = FlagKind::pattern;
  std::string_view value;  // by default; an empty pattern is no filter
  std::string_view what;   // for people, without a full stop
};

inline constexpr std::array kCollectorFlags{
    CollectorFlag{"arp.device_exclude", FlagKind::pattern, "", "Devices that are left out"},
    CollectorFlag{"arp.device_include", FlagKind::pattern, "", "Only these devices"},
    CollectorFlag{"bcache.priority_stats", FlagKind::boolean, "false", "Statistics that are expensive to read"},
    CollectorFlag{"cpu.guest", FlagKind::boolean, "true", "Time in virtual machines apart"},
    CollectorFlag{"cpu.info", FlagKind::boolean, "false", "node_cpu_info, one series a CPU"},
    CollectorFlag{"diskstats.device_exclude", FlagKind::pattern, R"(^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)",
                  "Devices that are left out"},
    CollectorFlag{"diskstats.device_include", FlagKind::pattern, "", "Only these devices"},
    CollectorFlag{"filesystem.fs_types_exclude", FlagKind::pattern,
                  "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|"
                  "nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$",
                  "Types of filesystems that are left out"},
    CollectorFlag{"filesystem.mount_points_exclude", FlagKind::pattern,
                  "^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
                  "Mount points that are left out"},
    CollectorFlag{"ipvs.backend_labels", FlagKind::ipvs_labels, kIpvsLabels,
                  "Labels of backends, with commas; backends alike in them are summed"},
    CollectorFlag{"netclass.ignore_invalid_speed", FlagKind::boolean, "false", "Leave out speeds that are not known"},
    CollectorFlag{"netclass.ignored_devices", FlagKind::pattern, "^$", "Devices that are left out"},
    CollectorFlag{"netdev.device_exclude", FlagKind::pattern, "^lo$", "Devices that are left out"},
    CollectorFlag{"netdev.device_include", FlagKind::pattern, "", "Only these devices"},
    CollectorFlag{
        "netstat.fields", FlagKind::pattern,
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|"
        "Syncookies.*|TCPSynRetrans|TCPTimeouts)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|"
        "CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        "Counters that are given"},
    CollectorFlag{"powersupply.ignored_supplies", FlagKind::pattern, "^$", "Supplies that are left out"},
    CollectorFlag{"rapl.enable_zone_label", FlagKind::boolean, "false",
                  "One family for all zones, with the zone as a label"},
    CollectorFlag{"stat.softirq", FlagKind::boolean, "false", "Soft interrupts by vector"},
    CollectorFlag{"systemd.enable_restarts_metrics", FlagKind::boolean, "false", "How often services were restarted"},
    CollectorFlag{"systemd.enable_start_time_metrics", FlagKind::boolean, "false", "When units were started"},
    CollectorFlag{"systemd.enable_task_metrics", FlagKind::boolean, "false", "Tasks of services, and their limits"},
    CollectorFlag{"systemd.unit_exclude", FlagKind::pattern, R"(.+\.(automount|device|mount|scope|slice|target))",
                  "Units that are left out, the whole name"},
    CollectorFlag{"systemd.unit_include", FlagKind::pattern, ".+", "Units that are given, the whole name"},
    CollectorFlag{"tapestats.ignored_devices", FlagKind::pattern, "^$", "Drives that are left out"},
    CollectorFlag{"textfile.directory", FlagKind::path, "/var/lib/prometheus/node-exporter",
                  "Folder with files NAME.prom; empty: none"},
    CollectorFlag{"vmstat.fields", FlagKind::pattern, "^(oom_kill|pgpg|pswp|pg.*fault).*", "Counters that are given"},
};

// What is switched on, and with which filters. Patterns are valid ones (agent/base/pattern.hpp).
struct CollectorSettings {
  std::array<bool, kCollectorSwitches.size()> on;
  std::array<std::string, kCollectorFlags.size()> values;  // booleans as "true" and "false"

  CollectorSettings() {
    for (std::size_t i = 0; i < on.size(); ++i)
      on.at(i) = kCollectorSwitches.at(i).on;
    for (std::size_t i = 0; i < values.size(); ++i)
      values.at(i) = kCollectorFlags.at(i).value;
  }
  [[nodiscard]] bool enabled(std::string_view collector) const {
    for (std::size_t i = 0; i < on.size(); ++i) {
      if (kCollectorSwitches.at(i).name == collector) return on.at(i);
    }
    return false;
  }
  // The value of a flag; empty when there is none of that name.
  [[nodiscard]] const std::string& value(std::string_view flag) const {
    static const std::string none;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (kCollectorFlags.at(i).name == flag) return values.at(i);
    }
    return none;
  }
  [[nodiscard]] bool flag(std::string_view name) const { return value(name) == "true"; }
  bool operator==(const CollectorSettings&) const = default;
};

}  // namespace omnitide::model
