// What is in Sparkplug unless the operator says otherwise. docs/sparkplug.md has the same table; a test holds both
// together.
#include "agent/telemetry/metric_selector.hpp"

namespace omnitide::telemetry {

namespace {

// Of the node.
constexpr const char* const kNode[] = {
    "node_load1",
    "node_load5",
    "node_load15",
    "node_cpu_seconds_total",
    "node_cpu_package_throttles_total",
    "node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes",
    "node_memory_MemFree_bytes",
    "node_memory_Cached_bytes",
    "node_memory_Dirty_bytes",
    "node_memory_Slab_bytes",
    "node_memory_SwapTotal_bytes",
    "node_memory_SwapFree_bytes",
    "node_pressure_*",
    "node_procs_running",
    "node_procs_blocked",
    "node_forks_total",
    "node_context_switches_total",
    "node_intr_total",
    "node_boot_time_seconds",
    "node_filefd_allocated",
    "node_filefd_maximum",
    "node_filesystem_size_bytes",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_readonly",
    "node_filesystem_device_error",
    "node_nf_conntrack_entries",
    "node_nf_conntrack_entries_limit",
    "node_sockstat_sockets_used",
    "node_sockstat_TCP_inuse",
    "node_sockstat_TCP_tw",
    "node_sockstat_UDP_inuse",
    "node_netstat_Tcp_ActiveOpens",
    "node_netstat_Tcp_PassiveOpens",
    "node_netstat_Tcp_CurrEstab",
    "node_netstat_Tcp_RetransSegs",
    "node_netstat_Tcp_InSegs",
    "node_netstat_Tcp_OutSegs",
    "node_netstat_Tcp_InErrs",
    "node_netstat_TcpExt_ListenOverflows",
    "node_netstat_TcpExt_ListenDrops",
    "node_netstat_Udp_InErrors",
    "node_vmstat_oom_kill",
    "node_vmstat_pgmajfault",
    "node_vmstat_pswpin",
    "node_vmstat_pswpout",
    "node_thermal_zone_temp",
    "node_hwmon_temp_celsius",
    "node_hwmon_fan_rpm",
    "node_power_supply_online",
    "node_power_supply_capacity",
    "node_edac_correctable_errors_total",
    "node_edac_uncorrectable_errors_total",
    "node_timex_sync_status",
    "node_timex_offset_seconds",
    "node_systemd_units",
    "node_systemd_system_running",
    "omnitide_agent_part_state",
    "omnitide_agent_stuck_workers",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "omnitide_policy_packets_total",
    "omnitide_policy_faults",
    "omnitide_policy_lost_events_total",
    "omnitide_scheduler_wait_seconds",
    "omnitide_network_dropped_packets_total",
    "omnitide_tcp_connections_total",
    "omnitide_tcp_connect_failures_total",
    "omnitide_tcp_resets_total",
    "omnitide_tcp_retransmits_total",
    "omnitide_tcp_bytes_total",
    "omnitide_tcp_rtt_seconds",
    "omnitide_tcp_connect_seconds",
    "omnitide_dns_queries_total",
    "omnitide_dns_timeouts_total",
    "omnitide_dns_latency_seconds",
    "omnitide_process_starts_total",
    "omnitide_process_major_faults_total",
    "omnitide_oom_kills_total",
};

// Of disks, network interfaces and the like.
constexpr const char* const kDevices[] = {
    "node_disk_reads_completed_total",
    "node_disk_writes_completed_total",
    "node_disk_read_bytes_total",
    "node_disk_written_bytes_total",
    "node_disk_read_time_seconds_total",
    "node_disk_write_time_seconds_total",
    "node_disk_io_time_seconds_total",
    "node_disk_io_now",
    "node_md_disks",
    "node_md_disks_required",
    "node_md_state",
    "omnitide_block_io_errors_total",
    "omnitide_block_io_latency_seconds/*/operation=read",
    "omnitide_block_io_latency_seconds/*/operation=write",
    "omnitide_block_io_latency_seconds/*/operation=flush",
    "omnitide_nvme_critical_warning",
    "omnitide_nvme_temperature_celsius",
    "omnitide_nvme_available_spare_ratio",
    "omnitide_nvme_used_ratio",
    "omnitide_nvme_media_errors_total",
    "omnitide_nvme_unsafe_shutdowns_total",
    "node_network_receive_bytes_total",
    "node_network_transmit_bytes_total",
    "node_network_receive_packets_total",
    "node_network_transmit_packets_total",
    "node_network_receive_errs_total",
    "node_network_transmit_errs_total",
    "node_network_receive_drop_total",
    "node_network_transmit_drop_total",
    "node_network_up",
    "node_network_carrier",
    "node_network_carrier_changes_total",
    "node_network_speed_bytes",
};

// Filesystems of pods, containers and sessions, and those in memory.
constexpr const char* const kExcluded[] = {
    "node_filesystem_*/fstype=tmpfs/*",
    "node_filesystem_*/fstype=overlay/*",
    "node_filesystem_*/fstype=squashfs/*",
    "node_filesystem_*/fstype=nsfs/*",
    "node_filesystem_*/fstype=fuse*/*",
    "node_filesystem_*/mountpoint=%2Fvar%2Flib%2Fkubelet%2F*",
    "node_filesystem_*/mountpoint=%2Fvar%2Flib%2Fcontainerd%2F*",
    "node_filesystem_*/mountpoint=%2Fvar%2Flib%2Fdocker%2F*",
    "node_filesystem_*/mountpoint=%2Fvar%2Flib%2Fcontainers%2F*",
    "node_filesystem_*/mountpoint=%2Frun%2F*",
    "node_filesystem_*/mountpoint=%2Fetc%2F*",  // files that a container's runtime puts in
};

// Interfaces of pods and containers, and what is no hardware.
constexpr const char* const kNoDevice[] = {
    "nic:lo",         "nic:veth*",        "nic:cali*",    "nic:lxc*",    "nic:cni*",    "nic:docker*",  "nic:br-*",
    "nic:virbr*",     "nic:vnet*",        "nic:flannel*", "nic:azv*",    "nic:eni*",    "nic:gre0",     "nic:gretap0",
    "nic:erspan0",    "nic:tunl0",        "nic:sit0",     "nic:ip6tnl0", "nic:ip_vti0", "nic:ip6_vti0", "nic:ip6gre0",
    "nic:kube-*",     "nic:nodelocaldns", "nic:cilium_*", "nic:tap*",    "nic:ifb*",    "nic:dummy*",   "nic:vxlan*",
    "nic:tailscale*", "disk:loop*",       "disk:ram*",    "disk:zram*",  "disk:nbd*",   "disk:sr*",     "disk:fd*",
};

}  // namespace

MetricSelection default_selection() {
  MetricSelection out;
  out.include.assign(std::begin(kNode), std::end(kNode));
  out.include.insert(out.include.end(), std::begin(kDevices), std::end(kDevices));
  out.exclude.assign(std::begin(kExcluded), std::end(kExcluded));
  out.no_device.assign(std::begin(kNoDevice), std::end(kNoDevice));
  out.sums = {{"node_cpu_seconds_total", "cpu"}};
  for (const char* const label : {"cgroup", "unit", "namespace", "pod", "container", "container_id", "pod_uid"})
    out.sums.push_back({"omnitide_*", label});
  out.sums.push_back({"omnitide_tcp_connect_failures_total", "errno"});
  out.sums.push_back({"omnitide_block_io_errors_total", "operation"});
  for (const char* const label : {"reason", "device", "netns"})
    out.sums.push_back({"omnitide_network_dropped_packets_total", label});
  out.devices = {{"node_disk_*", "device", "disk"},      {"node_md_*", "device", "disk"},
                 {"omnitide_block_*", "device", "disk"}, {"omnitide_nvme_*", "device", "nvme"},
                 {"node_network_*", "device", "nic"},    {"node_ethtool_*", "device", "nic"},
                 {"node_drm_*", "card", "gpu"}};
  return out;
}

}  // namespace omnitide::telemetry
