#include "agent/telemetry/node_metrics.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "agent/telemetry/metric_name.hpp"

namespace omnitide::telemetry {

namespace {

class Properties {
 public:
  // Of one device, or of the node.
  void of(std::string device) { device_ = std::move(device); }
  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) add(name, DataType::string, bounded_text(value), "");
  }
  void number(std::string_view name, std::uint64_t value, std::string_view unit = "") {
    if (value > 0) add(name, DataType::uint64, value, unit);
  }
  void number(std::string_view name, const std::optional<std::uint64_t>& value, std::string_view unit) {
    if (value) number(name, *value, unit);
  }
  void flag(std::string_view name, const std::optional<bool>& value) {
    if (value) add(name, DataType::boolean, *value, "");
  }
  std::vector<NamedMetric> take() { return std::move(out_); }

 private:
  void add(std::string_view name, DataType type, MetricValue value, std::string_view unit) {
    out_.push_back({device_, std::string("Properties/").append(name), type, std::move(value), std::string(unit)});
  }
  std::string device_;
  std::vector<NamedMetric> out_;
};

std::string_view first_known(std::string_view a, std::string_view b) { return a.empty() ? b : a; }

void add_node(Properties& to, const model::NodeFacts& facts, std::string_view agent_version) {
  const model::SystemFacts& system = facts.system;
  const model::DmiFacts& dmi = system.dmi;
  // The first four names are the specification's own.
  to.text("Hardware Make", first_known(dmi.system_vendor, dmi.board_vendor));
  to.text("Hardware Model", first_known(dmi.product_name, first_known(system.device_tree_model, dmi.board_name)));
  to.text("OS", first_known(system.os_name, system.os_id));
  to.text("OS Version", system.os_version_id);
  to.text("Serial Number", dmi.product_serial);
  to.text("BIOS Version", dmi.bios_version);
  to.text("Hostname", system.hostname);
  to.text("Machine Id", system.machine_id);
  to.text("Kernel", system.kernel_release);
  to.text("Architecture", facts.cpu.architecture);
  to.text("Virtualization", first_known(facts.cpu.hypervisor, system.virtualization));
  to.text("CPU Model", facts.cpu.model);
  to.number("CPU Sockets", facts.cpu.sockets);
  to.number("CPU Cores", facts.cpu.cores);
  to.number("CPU Threads", facts.cpu.threads);
  to.number("Memory", facts.memory.total_bytes, "bytes");
  to.number("Swap", facts.memory.swap_bytes, "bytes");
  to.flag("Secure Boot", system.secure_boot);
  to.text("Agent Version", agent_version);
}

void add_disk(Properties& to, const model::BlockDevice& disk) {
  to.text("Hardware Model", disk.model);
  to.text("Serial Number", disk.serial);
  to.number("Size", disk.size_bytes, "bytes");
  to.text("Transport", disk.transport);
  to.flag("Rotational", disk.rotational);
  to.flag("Read Only", disk.read_only);
  if (disk.nvme) to.text("FW", disk.nvme->firmware);
}

void add_interface(Properties& to, const model::NetworkInterface& nic) {
  to.text("MAC", nic.mac);
  to.text("Driver", nic.driver);
  to.text("FW", nic.firmware_version);
  to.text("Bus Address", nic.bus_address);
  to.number("Speed", nic.speed_bits_per_second, "bits/s");
  to.number("MTU", nic.mtu, "bytes");
}

void add_accelerator(Properties& to, const model::Accelerator& gpu) {
  to.text("Hardware Make", gpu.vendor);
  to.text("Hardware Model", gpu.name);
  to.text("Driver", gpu.driver);
  to.text("Bus Address", gpu.bus_address);
  to.number("Memory", gpu.memory_bytes, "bytes");
}

bool is_hardware(const model::BlockDevice& device) { return device.kind == "disk" || device.kind == "md"; }
bool is_hardware(const model::NetworkInterface& nic) {
  return nic.kind == "physical" || nic.kind == "bond" || nic.kind == "team" || nic.kind == "vlan";
}

}  // namespace

std::vector<NamedMetric> facts_metrics(const model::NodeFacts& facts, std::string_view agent_version,
                                       const MetricSelector& selector) {
  Properties out;
  add_node(out, facts, agent_version);
  const auto begin = [&out, &selector](std::string_view kind, std::string_view name) {
    std::string id = device_id(kind, name);
    if (name.empty() || selector.leaves_out(id)) return false;
    out.of(std::move(id));
    return true;
  };
  for (const model::BlockDevice& disk : facts.storage.devices)
    if (is_hardware(disk) && begin("disk", disk.name)) add_disk(out, disk);
  for (const model::NetworkInterface& nic : facts.network)
    if (is_hardware(nic) && begin("nic", nic.name)) add_interface(out, nic);
  for (const model::Accelerator& gpu : facts.bus.accelerators)
    if (begin(gpu.kind == "gpu" ? "gpu" : "accelerator", first_known(gpu.bus_address, gpu.name)))
      add_accelerator(out, gpu);
  return out.take();
}

std::vector<NamedMetric> condition_metrics(std::span<const model::Condition> conditions) {
  std::vector<NamedMetric> out;
  for (const model::Condition& condition : conditions) {
    const std::string name = "Condition/" + escaped(condition.type);
    if (name.size() + 8 > kLongestName) continue;
    MetricValue status;
    if (condition.status != model::ConditionStatus::unknown) status = condition.status == model::ConditionStatus::true_;
    out.push_back({"", name + "/status", DataType::boolean, std::move(status), ""});
    out.push_back({"", name + "/reason", DataType::string, bounded_text(condition.reason), ""});
  }
  return out;
}

}  // namespace omnitide::telemetry
