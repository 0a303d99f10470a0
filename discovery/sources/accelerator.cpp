// GPUs and other accelerators: PCI functions by class, and what /sys/class/drm and /sys/class/accel add: names of
// nodes, memory, and GPUs of systems on a chip. Kernel: drivers/gpu/drm, Documentation/accel.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/idsdb.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

using model::Accelerator;

constexpr std::size_t kMaxAccelerators = 512;

struct Found {
  Accelerator accelerator;
  std::uint32_t vendor = 0, device = 0;
};
using ByAddress = std::map<std::string, Found>;  // PCI address or the platform device's name

// PCI Code and ID Assignment Specification: 03 display controller, 12 processing accelerator, 0b40 co-processor.
std::string_view kind_of_class(std::uint32_t code) {
  if (code >> 16U == 0x03) return "gpu";
  return code >> 16U == 0x12 || code >> 8U == 0x0B40 ? "accelerator" : "";
}

std::uint32_t hex_attribute(Reader& reader, const std::string& path) {
  return parse_number<std::uint32_t>(reader.attribute(path), 16).value_or(0);
}

void find_pci(Reader& reader, ByAddress& out) {
  for (const std::string& address : reader.names("/sys/bus/pci/devices")) {
    if (!is_pci_address(address) || out.size() >= kMaxAccelerators) continue;
    const std::string folder = fmt::format("/sys/bus/pci/devices/{}", address);
    const std::string_view kind = kind_of_class(hex_attribute(reader, folder + "/class"));
    if (kind.empty()) continue;
    Found found;
    found.accelerator.kind = kind;
    found.accelerator.bus_address = address;
    found.accelerator.driver = device_text(reader.root().link_name(folder + "/driver"));
    found.vendor = hex_attribute(reader, folder + "/vendor");
    found.device = hex_attribute(reader, folder + "/device");
    out.emplace(address, std::move(found));
  }
}

// Memory of its own, where the driver states it: amdgpu, xe and i915.
std::optional<std::uint64_t> memory(Reader& reader, const std::string& node, const std::string& device) {
  for (const std::string& path :
       {device + "/mem_info_vram_total", device + "/tile0/physical_vram_size_bytes", node + "/lmem_total_bytes"}) {
    const std::string text = reader.attribute(path);
    const auto bytes = parse_number<std::uint64_t>(text, text.starts_with("0x") ? 16 : 10);
    if (bytes && *bytes > 0) return bytes;
  }
  return std::nullopt;
}

// A class' nodes: "card0" or "accel0", not "card0-HDMI-A-1" and not "renderD128", which is the same device again.
void find_nodes(Reader& reader, std::string_view class_name, std::string_view prefix, std::string_view kind,
                ByAddress& out) {
  const std::string folder = fmt::format("/sys/class/{}", class_name);
  for (const std::string& name : reader.names(folder)) {
    if (!name.starts_with(prefix) || !parse_number<std::uint32_t>(std::string_view(name).substr(prefix.size())))
      continue;
    const std::string node = fmt::format("{}/{}", folder, name);
    const std::string link = device_path(reader.root().link_target(node));
    const std::string device(parent_path(parent_path(link)));  // DEVICE/drm/card0
    const std::string address = bus_address(device);
    if (address.empty() || out.size() >= kMaxAccelerators) continue;
    Accelerator& found = out.try_emplace(address).first->second.accelerator;
    if (found.kind.empty()) found.kind = kind;
    found.name = name;
    found.bus_address = address;
    const std::string driver = device_text(reader.root().link_name(device + "/driver"));
    if (!driver.empty()) found.driver = driver;  // virtio_gpu rather than virtio-pci
    found.memory_bytes = memory(reader, node, device);
  }
}

void name_products(Reader& reader, ByAddress& found) {
  IdNames ids;
  for (const auto& [address, entry] : found) {
    if (entry.vendor != 0) ids.want(entry.vendor, entry.device);
  }
  ids.load(reader, "pci.ids");
  for (auto& [address, entry] : found) {
    if (entry.vendor == 0) continue;
    const std::string vendor = ids.vendor(entry.vendor), product = ids.device(entry.vendor, entry.device);
    entry.accelerator.vendor = vendor.empty() ? fmt::format("{:04x}", entry.vendor) : vendor;
    if (!product.empty()) entry.accelerator.name = product;
    if (entry.accelerator.name.empty())
      entry.accelerator.name = fmt::format("{:04x}:{:04x}", entry.vendor, entry.device);
  }
}

Result<Report> read_accelerators(const Root& root) {
  Reader reader(root);
  ByAddress found;
  find_pci(reader, found);
  find_nodes(reader, "drm", "card", "gpu", found);
  find_nodes(reader, "accel", "accel", "accelerator", found);
  name_products(reader, found);
  std::vector<Accelerator> accelerators;
  for (auto& [address, entry] : found)
    accelerators.push_back(std::move(entry.accelerator));
  Report report;
  report.problems = std::move(reader).take_problems();
  report.patch = [accelerators = std::move(accelerators)](model::NodeFacts& facts) {
    facts.bus.accelerators = accelerators;
  };
  return report;
}

}  // namespace

Source accelerator_source() {
  Source source;
  source.name = "accelerator";
  source.subsystems = {"drm", "accel", "pci"};
  source.read = read_accelerators;
  return source;
}

}  // namespace omnitide::discovery
