#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/base/text.hpp"
#include "agent/cli/hardware.hpp"

namespace omnitide::cli {

namespace {

std::string joined(std::vector<std::string> parts, std::string_view separator) {
  std::erase(parts, std::string{});
  return join(parts, separator);
}

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string system_line(const model::SystemFacts& system, const model::CpuFacts& cpu) {
  const std::string product = !system.device_tree_model.empty()
                                  ? system.device_tree_model
                                  : joined({system.dmi.system_vendor, system.dmi.product_name}, " ");
  const std::string kernel = fmt::format("Linux {} {}", system.kernel_release, cpu.architecture);
  return joined({product, system.os_name, kernel, cpu.hypervisor.empty() ? "" : "guest of " + cpu.hypervisor}, ", ");
}

std::string cpu_line(const model::CpuFacts& cpu) {
  std::string largest;
  std::uint32_t level = 0;
  for (const model::CpuCache& cache : cpu.caches) {
    if (cache.level <= level || cache.type == "Instruction") continue;
    level = cache.level;
    largest = fmt::format("L{} {}{}", cache.level, cache.instances > 1 ? fmt::format("{} x ", cache.instances) : "",
                          human_bytes(cache.size_bytes));
  }
  std::string frequency;
  if (cpu.max_frequency_hertz)
    frequency = fmt::format("{:.2f} GHz", static_cast<double>(*cpu.max_frequency_hertz) / 1e9);
  return joined(
      {cpu.model, cpu.microarch_level, counted(cpu.sockets, "socket", "sockets"), counted(cpu.cores, "core", "cores"),
       counted(cpu.threads, "thread", "threads"),
       cpu.numa_nodes.size() > 1 ? fmt::format("{} NUMA nodes", cpu.numa_nodes.size()) : "", largest, frequency},
      ", ");
}

std::string memory_line(const model::MemoryFacts& memory) {
  std::map<std::string, std::size_t> kinds;
  for (const model::Dimm& dimm : memory.dimms) {
    if (dimm.size_bytes != 0) ++kinds[joined({human_bytes(dimm.size_bytes), dimm.type}, " ")];
  }
  std::vector<std::string> parts{human_bytes(memory.total_bytes)};
  for (const auto& [kind, count] : kinds)
    parts.push_back(fmt::format("{} x {}", count, kind));
  parts.push_back(memory.swap_bytes == 0 ? "no swap" : "swap " + human_bytes(memory.swap_bytes));
  for (const model::HugePages& pages : memory.huge_pages) {
    if (pages.total != 0 && !pages.numa_node)
      parts.push_back(fmt::format("{} huge pages of {}", pages.total, human_bytes(pages.page_bytes)));
  }
  return joined(parts, ", ");
}

bool is_disk(const model::BlockDevice& device) { return device.kind == "disk" && device.size_bytes != 0; }

std::string storage_line(const model::StorageFacts& storage) {
  std::uint64_t bytes = 0;
  std::size_t disks = 0;
  std::vector<std::string> names;
  for (const model::BlockDevice& device : storage.devices) {
    if (!is_disk(device)) continue;
    bytes += device.size_bytes;
    ++disks;
    if (names.size() < 4) names.push_back(fmt::format("{} {}", device.name, human_bytes(device.size_bytes)));
  }
  if (disks == 0) return "no disks";
  if (disks <= names.size()) return join(names, ", ");
  return fmt::format("{} disks, {} together: {}, ...", disks, human_bytes(bytes), join(names, ", "));
}

std::string network_line(const std::vector<model::NetworkInterface>& interfaces) {
  std::vector<std::string> names;
  std::size_t others = 0;
  for (const model::NetworkInterface& nic : interfaces) {
    if (nic.kind == "loopback") continue;
    if (nic.addresses.empty() || names.size() >= 4) {
      ++others;
    } else {
      names.push_back(fmt::format("{} {} {}", nic.name, nic.state, nic.addresses.front()));
    }
  }
  if (others != 0)
    names.push_back(names.empty() ? counted(others, "interface", "interfaces") : fmt::format("{} more", others));
  return names.empty() ? "only loopback" : join(names, ", ");
}

std::string ebpf_line(const std::vector<model::EbpfFeature>& features) {
  std::vector<std::string> missing;
  for (const model::EbpfFeature& feature : features) {
    if (!feature.works) missing.push_back(feature.name);
  }
  if (features.empty()) return {};
  if (missing.empty()) return "all that was probed works";
  return fmt::format("{} of {} features work; not: {}", features.size() - missing.size(), features.size(),
                     join(missing, ", "));
}

}  // namespace

Table hardware_summary(const model::NodeFacts& facts) {
  Table out({{""}, {"", false, true}});
  const auto row = [&out](const char* label, const std::string& text) {
    if (!text.empty()) out.row({Cell(std::string(label), Style::bold), text});
  };
  row("System", system_line(facts.system, facts.cpu));
  row("CPU", cpu_line(facts.cpu));
  row("Memory", memory_line(facts.memory));
  row("Storage", storage_line(facts.storage));
  row("Network", network_line(facts.network));
  std::vector<std::string> accelerators;
  for (const model::Accelerator& device : facts.bus.accelerators)
    accelerators.push_back(joined({device.kind, device.vendor, device.name}, " "));
  row("Accelerators", join(accelerators, ", "));
  std::vector<std::string> platform;
  for (const model::TpmFacts& tpm : facts.bus.tpms)
    platform.push_back(fmt::format("TPM {}", tpm.version));
  for (const model::WatchdogDevice& watchdog : facts.bus.watchdogs)
    platform.push_back(joined({"watchdog", watchdog.identity}, " "));
  if (facts.system.secure_boot) platform.push_back(*facts.system.secure_boot ? "secure boot" : "no secure boot");
  for (const model::ContainerRuntime& runtime : facts.system.container_runtimes)
    platform.push_back(joined({runtime.name, runtime.version}, " "));
  if (!facts.system.cgroup_mode.empty()) platform.push_back("cgroups " + facts.system.cgroup_mode);
  row("Platform", join(platform, ", "));
  row("eBPF", ebpf_line(facts.system.ebpf));
  return out;
}

}  // namespace omnitide::cli
