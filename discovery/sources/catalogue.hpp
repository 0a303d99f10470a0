// Every source, one function each, one file each.
#pragma once

#include <vector>

#include "discovery/sources/source.hpp"

namespace omnitide::discovery {

[[nodiscard]] Source cpu_source();          // sysfs cpu, cpufreq, cache, node, vulnerabilities; /proc/cpuinfo
[[nodiscard]] Source memory_source();       // /proc/meminfo, /proc/swaps, hugepages
[[nodiscard]] Source smbios_source();       // /sys/firmware/dmi/tables (DIMMs), /sys/class/dmi/id
[[nodiscard]] Source edac_source();         // /sys/devices/system/edac/mc
[[nodiscard]] Source system_source();       // os-release, kernel, boot id, secure boot, lockdown, systemd, cgroup mode
[[nodiscard]] Source runtime_source();      // container runtimes by their sockets
[[nodiscard]] Source block_source();        // /sys/block, partitions, dm, md, loop
[[nodiscard]] Source filesystem_source();   // /proc/self/mountinfo, statvfs
[[nodiscard]] Source nvme_source();         // /sys/class/nvme, identify and SMART log page by ioctl
[[nodiscard]] Source network_source();      // /sys/class/net, rtnetlink, ethtool
[[nodiscard]] Source pci_source();          // /sys/bus/pci, pci.ids
[[nodiscard]] Source usb_source();          // /sys/bus/usb, usb.ids
[[nodiscard]] Source accelerator_source();  // /sys/class/drm, /sys/class/accel, PCI display and processing classes
[[nodiscard]] Source platform_source();     // TPM, watchdogs, thermal zones, hwmon

// All of the above, in the order in which their patches are applied.
[[nodiscard]] std::vector<Source> all_sources();

}  // namespace omnitide::discovery
