#include "discovery/inventory/labels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxPart = 63;
// Each device can add a label; a node with more kinds of devices than this is not told apart by labels.
constexpr std::size_t kMaxLabels = 512;

bool alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

class Maker {
 public:
  void nfd(std::string_view name, std::string_view value) { add("feature.node.kubernetes.io/", name, value); }
  void ours(std::string_view name, std::string_view value) { add("omnitide.io/", name, value); }
  void count(std::string_view name, std::uint64_t value) {
    if (value > 0) ours(name, fmt::format("{}", value));
  }
  Labels take() { return std::move(labels_); }

 private:
  // The name part of a key has the syntax of a value that is not empty.
  void add(std::string_view prefix, std::string_view name, std::string_view value) {
    const std::string key = label_value(name);
    std::string text = label_value(value);
    if (!key.empty() && !text.empty() && labels_.size() < kMaxLabels)
      labels_.insert_or_assign(fmt::format("{}{}", prefix, key), std::move(text));
  }
  Labels labels_;
};

// The comparable names that Node Feature Discovery gives to vendors.
std::string_view nfd_vendor(std::string_view vendor) {
  constexpr std::array kVendors = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"GenuineIntel", "Intel"},
      {"AuthenticAMD", "AMD"},
      {"HygonGenuine", "Hygon"},
      {"CentaurHauls", "VIA"},
  });
  for (const auto& [cpuid, name] : kVendors) {
    if (cpuid == vendor) return name;
  }
  return vendor;
}

// "6.12.3-arm64" -> {"6", "12", "3"}: leading numbers, at most `count`, separated by dots and ended by '-', '+' or '.'.
std::vector<std::string> version_numbers(std::string_view version, std::size_t count) {
  std::vector<std::string> numbers;
  version = version.substr(0, version.find_first_of("-+~_ "));
  for (const std::string_view part : split(version, '.')) {
    if (numbers.size() == count || !parse_number<std::uint64_t>(part)) break;
    numbers.emplace_back(part);
  }
  return numbers;
}

void versions(Maker& to, std::string_view prefix, std::string_view version, std::size_t count) {
  constexpr std::array<std::string_view, 3> kNames{"major", "minor", "revision"};
  const std::vector<std::string> numbers = version_numbers(version, count);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    to.nfd(fmt::format("{}.{}", prefix, kNames.at(i)), numbers[i]);
}

void cpu_labels(Maker& to, const model::CpuFacts& cpu) {
  for (const std::string& flag : cpu.flags) {
    const std::string name = nfd_cpu_flag(cpu.architecture, flag);
    if (!name.empty()) to.nfd(fmt::format("cpu-cpuid.{}", name), "true");
  }
  to.nfd("cpu-model.vendor_id", nfd_vendor(cpu.vendor));
  to.nfd("cpu-model.family", cpu.family);
  to.nfd("cpu-model.id", cpu.model_id);
  if (cpu.threads > 0 && cpu.cores > 0)
    to.nfd("cpu-hardware_multithreading", cpu.threads > cpu.cores ? "true" : "false");
  const bool active = cpu.frequency_driver == "intel_pstate";
  if (active || cpu.frequency_driver == "intel_cpufreq") {
    to.nfd("cpu-pstate.status", active ? "active" : "passive");
    to.nfd("cpu-pstate.scaling_governor", cpu.governor);
  }
  to.ours("cpu-microarch-level", cpu.microarch_level);
  to.ours("hypervisor", cpu.hypervisor);
  to.count("cpu-sockets", cpu.sockets);
  to.count("cpu-cores", cpu.cores);
  to.count("cpu-threads", cpu.threads);
}

void memory_labels(Maker& to, const model::NodeFacts& facts) {
  if (facts.cpu.numa_nodes.size() > 1) to.nfd("memory-numa", "true");
  if (facts.memory.swap_bytes > 0) to.nfd("memory-swap.enabled", "true");
  to.count("memory-gib", facts.memory.total_bytes >> 30U);
  if (!facts.memory.edac.empty()) to.ours("memory-edac", "true");
}

void storage_labels(Maker& to, const model::StorageFacts& storage) {
  for (const model::BlockDevice& device : storage.devices) {
    if (device.kind != "disk") continue;
    if (device.rotational == false) to.nfd("storage-nonrotationaldisk", "true");
    if (device.nvme) to.ours("nvme", "true");
  }
}

void network_labels(Maker& to, const std::vector<model::NetworkInterface>& network) {
  std::uint64_t fastest = 0;
  for (const model::NetworkInterface& nic : network) {
    if (nic.sriov_total.value_or(0) > 0) to.nfd("network-sriov.capable", "true");
    if (nic.sriov_current.value_or(0) > 0) to.nfd("network-sriov.configured", "true");
    if (nic.kind == "physical") fastest = std::max(fastest, nic.speed_bits_per_second.value_or(0));
  }
  to.count("network-max-mbps", fastest / 1'000'000);
}

void device_labels(Maker& to, const model::BusFacts& bus) {
  // Node Feature Discovery's default classes: displays, coprocessors, processing accelerators.
  for (const model::PciDevice& device : bus.pci) {
    const std::uint32_t device_class = device.class_code >> 8U;
    if (device_class >> 8U == 0x03 || device_class >> 8U == 0x12 || device_class == 0x0b40)
      to.nfd(fmt::format("pci-{:04x}_{:04x}.present", device_class, device.vendor_id), "true");
  }
  // Video, miscellaneous, application specific, vendor specific.
  for (const model::UsbDevice& device : bus.usb) {
    constexpr std::array<std::uint32_t, 4> kClasses{0x0e, 0xef, 0xfe, 0xff};
    if (std::find(kClasses.begin(), kClasses.end(), device.device_class) == kClasses.end()) continue;
    to.nfd(fmt::format("usb-{:02x}_{:04x}_{:04x}.present", device.device_class, device.vendor_id, device.product_id),
           "true");
  }
  const auto of_kind = [&bus](std::string_view kind) {
    return static_cast<std::uint64_t>(std::count_if(bus.accelerators.begin(), bus.accelerators.end(),
                                                    [kind](const auto& device) { return device.kind == kind; }));
  };
  to.count("gpus", of_kind("gpu"));
  to.count("accelerators", of_kind("accelerator"));
  if (!bus.tpms.empty()) to.ours("tpm", bus.tpms.front().version.empty() ? "true" : bus.tpms.front().version);
  if (!bus.watchdogs.empty()) to.ours("watchdog", "true");
}

void system_labels(Maker& to, const model::SystemFacts& system) {
  to.nfd("kernel-version.full", system.kernel_release);
  versions(to, "kernel-version", system.kernel_release, 3);
  to.nfd("system-os_release.ID", system.os_id);
  to.nfd("system-os_release.VERSION_ID", system.os_version_id);
  versions(to, "system-os_release.VERSION_ID", system.os_version_id, 2);
  to.ours("product", system.dmi.product_name.empty() ? system.device_tree_model : system.dmi.product_name);
  to.ours("vendor", system.dmi.system_vendor);
  to.ours("virtualization", system.virtualization);
  to.ours("cgroup", system.cgroup_mode);
  to.ours("lockdown", system.lockdown);
  if (system.secure_boot) to.ours("secure-boot", *system.secure_boot ? "true" : "false");
  if (!system.systemd_version.empty()) to.ours("systemd", system.systemd_version);
  to.ours("battery-clock", system.has_battery_clock ? "true" : "false");
  for (const model::ContainerRuntime& runtime : system.container_runtimes)
    to.ours(fmt::format("container-runtime.{}", runtime.name), runtime.version.empty() ? "true" : runtime.version);
  for (const model::EbpfFeature& feature : system.ebpf) {
    if (feature.works) to.ours(fmt::format("ebpf.{}", feature.name), "true");
  }
}

}  // namespace

std::string label_value(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (value.empty() && !alphanumeric(c)) continue;
    if (value.size() == kMaxPart) break;
    value += alphanumeric(c) || c == '-' || c == '.' ? c : '_';
  }
  while (!value.empty() && !alphanumeric(value.back()))
    value.pop_back();
  return value;
}

Labels labels(const model::NodeFacts& facts) {
  Maker to;
  system_labels(to, facts.system);
  cpu_labels(to, facts.cpu);
  memory_labels(to, facts);
  storage_labels(to, facts.storage);
  network_labels(to, facts.network);
  device_labels(to, facts.bus);
  return to.take();
}

}  // namespace omnitide::discovery
