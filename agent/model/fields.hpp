// The fields of every struct of node_facts.hpp by the names that facts.proto gives them: what lets the codec and the
// merge of reports be written once, in the order of their numbers there. A struct that gains a field gains a line here;
// tests/unit/codec holds both against the wire contract.
#pragma once

#include <string_view>
#include <tuple>
#include <type_traits>

#include "agent/model/node_facts.hpp"

namespace omnitide::model {

template <class S, class T>
struct Field {
  std::string_view name;  // as in facts.proto
  T S::*member;
};

template <class S, class T>
[[nodiscard]] constexpr Field<S, T> field(std::string_view name, T S::*member) {
  return {name, member};
}

// Fields<S>::list is a tuple of Field<S, ...>.
template <class S>
struct Fields;

template <class S>
concept HasFields = requires {
  Fields<std::remove_cvref_t<S>>::list;
};

// Calls visit(field) for each, in order.
template <HasFields S, class Visitor>
constexpr void for_each_field(Visitor&& visit) {
  std::apply([&visit](const auto&... each) { (visit(each), ...); }, Fields<S>::list);
}

template <>
struct Fields<CpuCache> {
  using S = CpuCache;
  static constexpr auto list =
      std::make_tuple(field("level", &S::level), field("type", &S::type), field("size_bytes", &S::size_bytes),
                      field("instances", &S::instances), field("shared_cpus_example", &S::shared_cpus_example));
};

template <>
struct Fields<NumaNode> {
  using S = NumaNode;
  static constexpr auto list =
      std::make_tuple(field("id", &S::id), field("cpus", &S::cpus), field("memory_bytes", &S::memory_bytes));
};

template <>
struct Fields<CpuVulnerability> {
  using S = CpuVulnerability;
  static constexpr auto list =
      std::make_tuple(field("name", &S::name), field("mitigation", &S::mitigation), field("affected", &S::affected));
};

template <>
struct Fields<CpuFacts> {
  using S = CpuFacts;
  static constexpr auto list =
      std::make_tuple(field("vendor", &S::vendor), field("model", &S::model), field("architecture", &S::architecture),
                      field("microarch_level", &S::microarch_level), field("family", &S::family),
                      field("model_id", &S::model_id), field("stepping", &S::stepping), field("flags", &S::flags),
                      field("sockets", &S::sockets), field("cores", &S::cores), field("threads", &S::threads),
                      field("smt_active", &S::smt_active), field("numa_nodes", &S::numa_nodes),
                      field("caches", &S::caches), field("min_frequency_hertz", &S::min_frequency_hertz),
                      field("max_frequency_hertz", &S::max_frequency_hertz), field("governor", &S::governor),
                      field("frequency_driver", &S::frequency_driver), field("hypervisor", &S::hypervisor),
                      field("vulnerabilities", &S::vulnerabilities), field("microcode", &S::microcode));
};

template <>
struct Fields<HugePages> {
  using S = HugePages;
  static constexpr auto list = std::make_tuple(field("page_bytes", &S::page_bytes), field("numa_node", &S::numa_node),
                                               field("total", &S::total));
};

template <>
struct Fields<Dimm> {
  using S = Dimm;
  static constexpr auto list =
      std::make_tuple(field("locator", &S::locator), field("bank", &S::bank), field("type", &S::type),
                      field("form_factor", &S::form_factor), field("manufacturer", &S::manufacturer),
                      field("part_number", &S::part_number), field("serial", &S::serial),
                      field("size_bytes", &S::size_bytes), field("speed_megatransfers", &S::speed_megatransfers),
                      field("configured_megatransfers", &S::configured_megatransfers));
};

template <>
struct Fields<EdacController> {
  using S = EdacController;
  static constexpr auto list =
      std::make_tuple(field("name", &S::name), field("type", &S::type), field("size_bytes", &S::size_bytes));
};

template <>
struct Fields<SwapArea> {
  using S = SwapArea;
  static constexpr auto list =
      std::make_tuple(field("path", &S::path), field("type", &S::type), field("size_bytes", &S::size_bytes));
};

template <>
struct Fields<MemoryFacts> {
  using S = MemoryFacts;
  static constexpr auto list =
      std::make_tuple(field("total_bytes", &S::total_bytes), field("swap_bytes", &S::swap_bytes),
                      field("swaps", &S::swaps), field("huge_pages", &S::huge_pages), field("dimms", &S::dimms),
                      field("edac", &S::edac), field("installed_bytes", &S::installed_bytes));
};

template <>
struct Fields<NvmeIdentity> {
  using S = NvmeIdentity;
  static constexpr auto list =
      std::make_tuple(field("controller", &S::controller), field("model", &S::model), field("serial", &S::serial),
                      field("firmware", &S::firmware), field("transport", &S::transport), field("nqn", &S::nqn));
};

template <>
struct Fields<BlockDevice> {
  using S = BlockDevice;
  static constexpr auto list = std::make_tuple(
      field("name", &S::name), field("kind", &S::kind), field("parent", &S::parent), field("stands_on", &S::stands_on),
      field("model", &S::model), field("serial", &S::serial), field("wwn", &S::wwn), field("transport", &S::transport),
      field("scheduler", &S::scheduler), field("zoned", &S::zoned), field("partition_uuid", &S::partition_uuid),
      field("partition_name", &S::partition_name), field("dm_name", &S::dm_name), field("dm_uuid", &S::dm_uuid),
      field("md_level", &S::md_level), field("md_state", &S::md_state), field("size_bytes", &S::size_bytes),
      field("logical_sector_bytes", &S::logical_sector_bytes),
      field("physical_sector_bytes", &S::physical_sector_bytes), field("rotational", &S::rotational),
      field("removable", &S::removable), field("read_only", &S::read_only), field("numa_node", &S::numa_node),
      field("nvme", &S::nvme), field("driver", &S::driver));
};

template <>
struct Fields<Filesystem> {
  using S = Filesystem;
  static constexpr auto list =
      std::make_tuple(field("device", &S::device), field("mount_point", &S::mount_point), field("type", &S::type),
                      field("options", &S::options), field("size_bytes", &S::size_bytes));
};

template <>
struct Fields<StorageFacts> {
  using S = StorageFacts;
  static constexpr auto list = std::make_tuple(field("devices", &S::devices), field("filesystems", &S::filesystems));
};

template <>
struct Fields<NetworkInterface> {
  using S = NetworkInterface;
  static constexpr auto list = std::make_tuple(
      field("name", &S::name), field("index", &S::index), field("kind", &S::kind), field("mac", &S::mac),
      field("permanent_mac", &S::permanent_mac), field("driver", &S::driver), field("bus_address", &S::bus_address),
      field("speed_bits_per_second", &S::speed_bits_per_second), field("duplex", &S::duplex), field("mtu", &S::mtu),
      field("state", &S::state), field("carrier", &S::carrier), field("addresses", &S::addresses),
      field("rx_queues", &S::rx_queues), field("tx_queues", &S::tx_queues), field("offloads", &S::offloads),
      field("sriov_total", &S::sriov_total), field("sriov_current", &S::sriov_current),
      field("numa_node", &S::numa_node), field("xdp_features", &S::xdp_features), field("master", &S::master),
      field("stands_on", &S::stands_on), field("vlan_id", &S::vlan_id), field("driver_version", &S::driver_version),
      field("firmware_version", &S::firmware_version), field("auto_negotiation", &S::auto_negotiation),
      field("flags", &S::flags));
};

template <>
struct Fields<PciDevice> {
  using S = PciDevice;
  static constexpr auto list = std::make_tuple(
      field("address", &S::address), field("class_code", &S::class_code), field("vendor_id", &S::vendor_id),
      field("device_id", &S::device_id), field("subvendor_id", &S::subvendor_id),
      field("subdevice_id", &S::subdevice_id), field("revision", &S::revision), field("class_name", &S::class_name),
      field("vendor_name", &S::vendor_name), field("device_name", &S::device_name), field("driver", &S::driver),
      field("numa_node", &S::numa_node));
};

template <>
struct Fields<UsbDevice> {
  using S = UsbDevice;
  static constexpr auto list =
      std::make_tuple(field("path", &S::path), field("vendor_id", &S::vendor_id), field("product_id", &S::product_id),
                      field("device_class", &S::device_class), field("manufacturer", &S::manufacturer),
                      field("product", &S::product), field("serial", &S::serial), field("vendor_name", &S::vendor_name),
                      field("product_name", &S::product_name), field("speed_megabits", &S::speed_megabits));
};

template <>
struct Fields<Accelerator> {
  using S = Accelerator;
  static constexpr auto list = std::make_tuple(field("kind", &S::kind), field("name", &S::name),
                                               field("driver", &S::driver), field("bus_address", &S::bus_address),
                                               field("vendor", &S::vendor), field("memory_bytes", &S::memory_bytes));
};

template <>
struct Fields<TpmFacts> {
  using S = TpmFacts;
  static constexpr auto list = std::make_tuple(field("name", &S::name), field("version", &S::version));
};

template <>
struct Fields<WatchdogDevice> {
  using S = WatchdogDevice;
  static constexpr auto list = std::make_tuple(field("name", &S::name), field("identity", &S::identity),
                                               field("timeout_seconds", &S::timeout_seconds));
};

template <>
struct Fields<SensorDevice> {
  using S = SensorDevice;
  static constexpr auto list = std::make_tuple(field("kind", &S::kind), field("name", &S::name),
                                               field("type", &S::type), field("channels", &S::channels));
};

template <>
struct Fields<BusFacts> {
  using S = BusFacts;
  static constexpr auto list =
      std::make_tuple(field("pci", &S::pci), field("usb", &S::usb), field("accelerators", &S::accelerators),
                      field("tpms", &S::tpms), field("watchdogs", &S::watchdogs), field("sensors", &S::sensors));
};

template <>
struct Fields<DmiFacts> {
  using S = DmiFacts;
  static constexpr auto list =
      std::make_tuple(field("system_vendor", &S::system_vendor), field("product_name", &S::product_name),
                      field("product_version", &S::product_version), field("product_serial", &S::product_serial),
                      field("product_uuid", &S::product_uuid), field("product_family", &S::product_family),
                      field("board_vendor", &S::board_vendor), field("board_name", &S::board_name),
                      field("bios_vendor", &S::bios_vendor), field("bios_version", &S::bios_version),
                      field("bios_date", &S::bios_date), field("chassis_type", &S::chassis_type));
};

template <>
struct Fields<ContainerRuntime> {
  using S = ContainerRuntime;
  static constexpr auto list =
      std::make_tuple(field("name", &S::name), field("socket", &S::socket), field("version", &S::version));
};

template <>
struct Fields<EbpfFeature> {
  using S = EbpfFeature;
  static constexpr auto list =
      std::make_tuple(field("name", &S::name), field("works", &S::works), field("reason", &S::reason));
};

template <>
struct Fields<SystemFacts> {
  using S = SystemFacts;
  static constexpr auto list = std::make_tuple(
      field("hostname", &S::hostname), field("machine_id", &S::machine_id), field("os_id", &S::os_id),
      field("os_version_id", &S::os_version_id), field("os_name", &S::os_name),
      field("kernel_release", &S::kernel_release), field("kernel_version", &S::kernel_version),
      field("boot_id", &S::boot_id), field("kernel_command_line", &S::kernel_command_line), field("dmi", &S::dmi),
      field("device_tree_model", &S::device_tree_model), field("secure_boot", &S::secure_boot),
      field("lockdown", &S::lockdown), field("container_runtimes", &S::container_runtimes),
      field("systemd_version", &S::systemd_version), field("cgroup_mode", &S::cgroup_mode),
      field("virtualization", &S::virtualization), field("has_battery_clock", &S::has_battery_clock),
      field("ebpf", &S::ebpf));
};

template <>
struct Fields<NodeFacts> {
  using S = NodeFacts;
  static constexpr auto list =
      std::make_tuple(field("cpu", &S::cpu), field("memory", &S::memory), field("storage", &S::storage),
                      field("network", &S::network), field("bus", &S::bus), field("system", &S::system));
};

}  // namespace omnitide::model
