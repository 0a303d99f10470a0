// The status of a NodeInventory: what a person asks about a machine, out of its facts.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/node_objects.hpp"

namespace omnitide::kubernetes {

namespace json = boost::json;

namespace {

constexpr std::size_t kMostItems = 256;  // of each list; the summary counts all of them

// Leaves out what is not known.
class Fields {
 public:
  Fields& text(std::string_view key, std::string_view value) {
    if (!value.empty()) out_[key] = json_text(valid_utf8(value));
    return *this;
  }
  Fields& number(std::string_view key, std::uint64_t value) {
    if (value > 0) out_[key] = static_cast<std::int64_t>(value);
    return *this;
  }
  template <class T>
  Fields& number(std::string_view key, const std::optional<T>& value) {
    if (value) out_[key] = static_cast<std::int64_t>(*value);
    return *this;
  }
  Fields& truth(std::string_view key, const std::optional<bool>& value) {
    if (value) out_[key] = *value;
    return *this;
  }
  Fields& list(std::string_view key, json::array value) {
    if (!value.empty()) out_[key] = std::move(value);
    return *this;
  }
  json::object take() { return std::move(out_); }

 private:
  json::object out_;
};

template <class T, class Each>
json::array list_of(const std::vector<T>& items, Each each) {
  json::array out;
  for (const T& item : items)
    if (out.size() < kMostItems) out.push_back(each(item));
  return out;
}

template <class T, class Keep>
std::vector<T> those(const std::vector<T>& items, Keep keep) {
  std::vector<T> out;
  std::ranges::copy_if(items, std::back_inserter(out), keep);
  return out;
}

json::object cpu_object(const model::CpuFacts& cpu) {
  return Fields()
      .text("vendor", cpu.vendor)
      .text("model", cpu.model)
      .text("architecture", cpu.architecture)
      .text("microarchLevel", cpu.microarch_level)
      .number("sockets", cpu.sockets)
      .number("cores", cpu.cores)
      .number("threads", cpu.threads)
      .number("numaNodes", cpu.numa_nodes.size())
      .number("maxFrequencyHertz", cpu.max_frequency_hertz)
      .text("hypervisor", cpu.hypervisor)
      .take();
}

json::object memory_object(const model::MemoryFacts& memory) {
  return Fields()
      .number("totalBytes", memory.total_bytes)
      .number("installedBytes", memory.installed_bytes)
      .number("swapBytes", memory.swap_bytes)
      .list("modules", list_of(memory.dimms,
                               [](const model::Dimm& dimm) {
                                 return Fields()
                                     .text("locator", dimm.locator)
                                     .text("type", dimm.type)
                                     .text("manufacturer", dimm.manufacturer)
                                     .text("partNumber", dimm.part_number)
                                     .number("sizeBytes", dimm.size_bytes)
                                     .number("megatransfersPerSecond", dimm.configured_megatransfers)
                                     .take();
                               }))
      .take();
}

json::object disk_object(const model::BlockDevice& disk) {
  return Fields()
      .text("name", disk.name)
      .text("model", disk.model)
      .text("serial", disk.serial)
      .text("transport", disk.transport)
      .number("sizeBytes", disk.size_bytes)
      .truth("rotational", disk.rotational)
      .truth("removable", disk.removable)
      .take();
}

json::object nic_object(const model::NetworkInterface& nic) {
  return Fields()
      .text("name", nic.name)
      .text("kind", nic.kind)
      .text("mac", nic.mac)
      .text("driver", nic.driver)
      .text("firmware", nic.firmware_version)
      .text("busAddress", nic.bus_address)
      .number("bitsPerSecond", nic.speed_bits_per_second)
      .number("mtu", nic.mtu)
      .number("virtualFunctions", nic.sriov_total)
      .take();
}

json::object accelerator_object(const model::Accelerator& device) {
  return Fields()
      .text("kind", device.kind)
      .text("name", device.name)
      .text("vendor", device.vendor)
      .text("driver", device.driver)
      .text("busAddress", device.bus_address)
      .number("memoryBytes", device.memory_bytes)
      .take();
}

json::object system_object(const model::SystemFacts& system) {
  return Fields()
      .text("vendor", system.dmi.system_vendor)
      .text("product", system.dmi.product_name.empty() ? system.device_tree_model : system.dmi.product_name)
      .text("serial", system.dmi.product_serial)
      .text("firmware", system.dmi.bios_version)
      .text("os", system.os_name)
      .text("osID", system.os_id)
      .text("osVersion", system.os_version_id)
      .text("kernel", system.kernel_release)
      .text("machineID", system.machine_id)
      .text("virtualization", system.virtualization)
      .text("cgroup", system.cgroup_mode)
      .text("lockdown", system.lockdown)
      .truth("secureBoot", system.secure_boot)
      .list("containerRuntimes", list_of(system.container_runtimes,
                                         [](const model::ContainerRuntime& each) {
                                           return Fields().text("name", each.name).text("version", each.version).take();
                                         }))
      .take();
}

std::string speed_text(std::uint64_t bits_per_second) {
  constexpr std::uint64_t kGiga = 1'000'000'000, kMega = 1'000'000;
  if (bits_per_second == 0) return {};
  if (bits_per_second >= kGiga) return fmt::format(", {:g} Gb/s", static_cast<double>(bits_per_second) / kGiga);
  return fmt::format(", {} Mb/s", bits_per_second / kMega);
}

bool has_one_of(const model::NetworkInterface& nic, std::span<const std::string> addresses) {
  return std::ranges::any_of(nic.addresses, [addresses](const std::string& with_length) {
    return std::ranges::find(addresses, with_length.substr(0, with_length.find('/'))) != addresses.end();
  });
}

}  // namespace

std::string inventory_status_body(std::string_view node, const model::NodeFacts& facts,
                                  std::span<const std::string> addresses, std::string_view agent_version) {
  const auto disks =
      those(facts.storage.devices, [](const model::BlockDevice& device) { return device.kind == "disk"; });
  // Devices of pods and of overlays come and go with each of them.
  const auto nics = those(facts.network, [addresses](const model::NetworkInterface& nic) {
    return nic.kind == "physical" || nic.kind == "bond" || has_one_of(nic, addresses);
  });
  std::uint64_t bytes = 0, fastest = 0;
  for (const model::BlockDevice& disk : disks)
    bytes += disk.size_bytes;
  for (const model::NetworkInterface& nic : nics)
    fastest = std::max(fastest, nic.speed_bits_per_second.value_or(0));
  const auto gpus = std::ranges::count(facts.bus.accelerators, "gpu", &model::Accelerator::kind);

  json::object summary;
  summary["memory"] = json_text(human_bytes(facts.memory.total_bytes));
  summary["disks"] = json_text(fmt::format("{}{}", disks.size(), disks.empty() ? "" : ", " + human_bytes(bytes)));
  summary["nics"] = json_text(fmt::format("{}{}", nics.size(), speed_text(fastest)));
  summary["gpus"] = gpus;
  json::object status;
  status["agentVersion"] = json_text(agent_version);
  status["summary"] = std::move(summary);
  status["cpu"] = cpu_object(facts.cpu);
  status["memory"] = memory_object(facts.memory);
  status["disks"] = list_of(disks, disk_object);
  status["nics"] = list_of(nics, nic_object);
  status["accelerators"] = list_of(facts.bus.accelerators, accelerator_object);
  status["system"] = system_object(facts.system);
  json::object metadata;
  metadata["name"] = json_text(node);
  json::object out;
  out["apiVersion"] = json_text(kNodeInventories.api);
  out["kind"] = "NodeInventory";
  out["metadata"] = std::move(metadata);
  out["status"] = std::move(status);
  return json::serialize(out);
}

}  // namespace omnitide::kubernetes
