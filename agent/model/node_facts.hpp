// What a node is: values that only a reboot, a hot-plug or an operator changes.
// Counters, temperatures, current frequencies and free space are Samples (sample.hpp), never facts.
// Sources of every field: docs/facts.md. An empty string or an absent optional means "not known here".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace omnitide::model {

struct CpuCache {
  std::uint32_t level = 0;
  std::string type;  // "Data", "Instruction", "Unified"
  std::uint64_t size_bytes = 0;
  std::uint32_t instances = 0;      // how many such caches the node has
  std::string shared_cpus_example;  // cpu list of the first instance, e.g. "0-1"
  auto operator<=>(const CpuCache&) const = default;
};

struct NumaNode {
  std::uint32_t id = 0;
  std::string cpus;  // kernel cpu list, e.g. "0-15,32-47"
  std::uint64_t memory_bytes = 0;
  auto operator<=>(const NumaNode&) const = default;
};

struct CpuVulnerability {
  std::string name;        // file name under /sys/devices/system/cpu/vulnerabilities
  std::string mitigation;  // the kernel's sentence
  bool affected = false;   // the sentence begins with "Vulnerable" or "Mitigation"
  auto operator<=>(const CpuVulnerability&) const = default;
};

struct CpuFacts {
  std::string vendor;
  std::string model;
  std::string architecture;                           // uname machine, e.g. "x86_64", "aarch64"
  std::string microarch_level;                        // "x86-64-v1".."x86-64-v4", "armv8.0".., empty when not known
  std::string family, model_id, stepping, microcode;  // as the kernel prints them
  std::vector<std::string> flags;                     // sorted
  std::uint32_t sockets = 0, cores = 0, threads = 0;  // of the whole node, online
  std::optional<bool> smt_active;
  std::vector<NumaNode> numa_nodes;
  std::vector<CpuCache> caches;
  std::optional<std::uint64_t> min_frequency_hertz, max_frequency_hertz;
  std::string governor, frequency_driver;
  std::string hypervisor;  // "kvm", "vmware", ...; empty on bare metal
  std::vector<CpuVulnerability> vulnerabilities;
  bool operator==(const CpuFacts&) const = default;
};

struct HugePages {
  std::uint64_t page_bytes = 0;
  std::optional<std::uint32_t> numa_node;  // absent: the whole node
  std::uint64_t total = 0;                 // pages reserved
  auto operator<=>(const HugePages&) const = default;
};

struct Dimm {
  std::string locator, bank, type, form_factor, manufacturer, part_number, serial;
  std::uint64_t size_bytes = 0;
  std::uint32_t speed_megatransfers = 0, configured_megatransfers = 0;
  auto operator<=>(const Dimm&) const = default;
};

struct EdacController {
  std::string name, type;  // "mc0", driver's mc_name
  std::uint64_t size_bytes = 0;
  auto operator<=>(const EdacController&) const = default;
};

struct SwapArea {
  std::string path, type;
  std::uint64_t size_bytes = 0;
  auto operator<=>(const SwapArea&) const = default;
};

struct MemoryFacts {
  std::uint64_t total_bytes = 0;      // what the kernel manages (MemTotal)
  std::uint64_t installed_bytes = 0;  // with what firmware and kernel keep; 0 when the kernel does not say
  std::uint64_t swap_bytes = 0;
  std::vector<SwapArea> swaps;
  std::vector<HugePages> huge_pages;
  std::vector<Dimm> dimms;
  std::vector<EdacController> edac;
  bool operator==(const MemoryFacts&) const = default;
};

struct NvmeIdentity {
  std::string controller, model, serial, firmware, transport, nqn;
  auto operator<=>(const NvmeIdentity&) const = default;
};

struct BlockDevice {
  std::string name;                    // kernel name, e.g. "nvme0n1", "sda1", "dm-0"
  std::string kind;                    // "disk", "partition", "loop", "dm", "md", "zram", "rom", "ram"
  std::string parent;                  // partitions: the disk
  std::vector<std::string> stands_on;  // dm, md, loop: devices or the backing file
  std::string model, serial, wwn, transport, driver, scheduler, zoned;
  std::string partition_uuid, partition_name;
  std::string dm_name, dm_uuid, md_level, md_state;
  std::uint64_t size_bytes = 0;
  std::uint32_t logical_sector_bytes = 0, physical_sector_bytes = 0;
  std::optional<bool> rotational;
  bool removable = false, read_only = false;
  std::optional<std::int32_t> numa_node;
  std::optional<NvmeIdentity> nvme;
  bool operator==(const BlockDevice&) const = default;
};

struct Filesystem {
  std::string device, mount_point, type;
  std::vector<std::string> options;
  std::optional<std::uint64_t> size_bytes;
  bool operator==(const Filesystem&) const = default;
};

struct StorageFacts {
  std::vector<BlockDevice> devices;
  std::vector<Filesystem> filesystems;
  bool operator==(const StorageFacts&) const = default;
};

struct NetworkInterface {
  std::string name;
  std::uint32_t index = 0;
  std::string kind;  // "physical", "loopback", or rtnetlink's kind: "veth", "bridge", "bond", "vlan", ...
  std::string mac;
  std::string permanent_mac;
  std::string driver, driver_version, firmware_version, bus_address;
  std::vector<std::string> flags;  // "broadcast", "multicast", "noarp", "pointtopoint", "promiscuous"
  std::optional<std::uint64_t> speed_bits_per_second;
  std::string duplex;
  std::optional<bool> auto_negotiation;
  std::uint32_t mtu = 0;
  std::string state;  // operstate: "up", "down", "dormant", "unknown", ...
  std::optional<bool> carrier;
  std::vector<std::string> addresses;  // "192.0.2.1/24", "2001:db8::1/64"
  std::uint32_t rx_queues = 0, tx_queues = 0;
  std::vector<std::string> offloads;  // active ones, ethtool's names, sorted
  std::optional<std::uint32_t> sriov_total, sriov_current;
  std::optional<std::int32_t> numa_node;
  std::vector<std::string> xdp_features;  // kernel's xdp-features or "native"/"generic" where it states none
  std::string master;                     // bond or bridge it belongs to
  std::vector<std::string> stands_on;     // VLAN: parent; bond and bridge: ports; veth: peer index
  std::optional<std::uint32_t> vlan_id;
  bool operator==(const NetworkInterface&) const = default;
};

struct PciDevice {
  std::string address;  // "0000:00:02.0"
  std::uint32_t class_code = 0, vendor_id = 0, device_id = 0, subvendor_id = 0, subdevice_id = 0, revision = 0;
  std::string class_name, vendor_name, device_name;  // where the id database is installed
  std::string driver;
  std::optional<std::int32_t> numa_node;
  bool operator==(const PciDevice&) const = default;
};

struct UsbDevice {
  std::string path;  // "1-1.4"
  std::uint32_t vendor_id = 0, product_id = 0, device_class = 0;
  std::string manufacturer, product, serial, vendor_name, product_name;
  std::optional<std::uint32_t> speed_megabits;
  bool operator==(const UsbDevice&) const = default;
};

struct Accelerator {
  std::string kind;  // "gpu", "accelerator"
  std::string name, driver, bus_address, vendor;
  std::optional<std::uint64_t> memory_bytes;
  bool operator==(const Accelerator&) const = default;
};

struct TpmFacts {
  std::string name, version;  // "tpm0", "1.2" or "2.0"
  bool operator==(const TpmFacts&) const = default;
};

struct WatchdogDevice {
  std::string name, identity;
  std::optional<std::uint32_t> timeout_seconds;
  bool operator==(const WatchdogDevice&) const = default;
};

struct SensorDevice {
  std::string kind;                   // "thermal_zone", "hwmon"
  std::string name;                   // "thermal_zone0", "hwmon1"
  std::string type;                   // the zone's type or the chip's name
  std::vector<std::string> channels;  // hwmon: "temp1", "fan1", "in0"
  bool operator==(const SensorDevice&) const = default;
};

struct BusFacts {
  std::vector<PciDevice> pci;
  std::vector<UsbDevice> usb;
  std::vector<Accelerator> accelerators;
  std::vector<TpmFacts> tpms;
  std::vector<WatchdogDevice> watchdogs;
  std::vector<SensorDevice> sensors;
  bool operator==(const BusFacts&) const = default;
};

struct DmiFacts {
  std::string system_vendor, product_name, product_version, product_serial, product_uuid, product_family;
  std::string board_vendor, board_name, bios_vendor, bios_version, bios_date, chassis_type;
  bool operator==(const DmiFacts&) const = default;
};

struct ContainerRuntime {
  std::string name, socket, version;  // "containerd", its socket, empty when it does not say
  auto operator<=>(const ContainerRuntime&) const = default;
};

// One thing that eBPF may do on this kernel, found out by trying it.
struct EbpfFeature {
  std::string name;  // "btf", "jit", "tcx", "xdp_generic", "tp_btf", "ringbuf", ...
  bool works = false;
  std::string reason;  // when it does not: what the kernel said
  bool operator==(const EbpfFeature&) const = default;
};

struct SystemFacts {
  std::string hostname;
  std::string machine_id;  // reported, never used as identity
  std::string os_id, os_version_id, os_name;
  std::string kernel_release, kernel_version, boot_id, kernel_command_line;
  DmiFacts dmi;
  std::string device_tree_model;
  std::optional<bool> secure_boot;
  std::string lockdown;  // "none", "integrity", "confidentiality", empty when not built in
  std::vector<ContainerRuntime> container_runtimes;
  std::string systemd_version;     // empty when systemd is not the init
  std::string cgroup_mode;         // "unified", "hybrid", "legacy"
  std::string virtualization;      // "vm", "container", "none" as far as it shows
  bool has_battery_clock = false;  // an rtc device exists
  std::vector<EbpfFeature> ebpf;
  bool operator==(const SystemFacts&) const = default;
};

struct NodeFacts {
  CpuFacts cpu;
  MemoryFacts memory;
  StorageFacts storage;
  std::vector<NetworkInterface> network;
  BusFacts bus;
  SystemFacts system;
  bool operator==(const NodeFacts&) const = default;
};

}  // namespace omnitide::model
