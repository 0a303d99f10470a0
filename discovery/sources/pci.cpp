// PCI functions: /sys/bus/pci/devices. One uevent file states class, ids and driver.
// Kernel: Documentation/ABI/testing/sysfs-bus-pci.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/idsdb.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxPciDevices = 8192;

// "1AF4:1041"
std::optional<std::pair<std::uint32_t, std::uint32_t>> id_pair(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto first = parse_number<std::uint16_t>(text.substr(0, colon), 16);
  const auto second = parse_number<std::uint16_t>(text.substr(colon + 1), 16);
  if (!first || !second) return std::nullopt;
  return std::pair<std::uint32_t, std::uint32_t>{*first, *second};
}

std::optional<model::PciDevice> read_device(Reader& reader, const std::string& address) {
  const std::size_t before = reader.problem_count();
  const std::string folder = fmt::format("/sys/bus/pci/devices/{}", address);
  const auto uevent = reader.file(folder + "/uevent");
  if (!uevent && reader.problem_count() == before) return std::nullopt;  // gone since it was listed
  model::PciDevice device;
  device.address = address;
  if (uevent) {
    const auto code = parse_number<std::uint32_t>(property(*uevent, "PCI_CLASS"), 16);
    const auto ids = id_pair(property(*uevent, "PCI_ID"));
    if (!code || *code > 0xFFFFFF || !ids) reader.problem(fmt::format("{}/uevent states no class or ids", folder));
    device.class_code = code.value_or(0) & 0xFFFFFFU;
    if (ids) std::tie(device.vendor_id, device.device_id) = *ids;
    if (const auto sub = id_pair(property(*uevent, "PCI_SUBSYS_ID")))
      std::tie(device.subvendor_id, device.subdevice_id) = *sub;
    device.driver = device_text(property(*uevent, "DRIVER"));
  }
  const std::string revision = reader.attribute(folder + "/revision");
  device.revision = parse_number<std::uint8_t>(revision, 16).value_or(0);
  device.numa_node = numa_node(reader, folder);
  return device;
}

Result<Report> read_pci(const Root& root) {
  Reader reader(root);
  const Result<std::vector<std::string>> names = root.list("/sys/bus/pci/devices");
  if (names.has_error() && names.error().code != Code::not_found) return names.error();
  std::vector<model::PciDevice> devices;
  IdNames ids;
  if (names.has_value()) {
    for (const std::string& name : *names) {
      if (!is_pci_address(name)) {
        reader.problem(fmt::format("\"{}\" is no PCI address, skipping", printable(name, 64)));
        continue;
      }
      if (devices.size() >= kMaxPciDevices) {
        reader.problem(fmt::format("more than {} PCI devices, leaving the rest out", kMaxPciDevices));
        break;
      }
      std::optional<model::PciDevice> device = read_device(reader, name);
      if (!device) continue;
      ids.want(device->vendor_id, device->device_id);
      ids.want_class(device->class_code);
      devices.push_back(std::move(*device));
    }
  }
  ids.load(reader, "pci.ids");
  for (model::PciDevice& device : devices) {
    device.class_name = ids.class_name(device.class_code);
    device.vendor_name = ids.vendor(device.vendor_id);
    device.device_name = ids.device(device.vendor_id, device.device_id);
  }
  Report report;
  report.problems = std::move(reader).take_problems();
  report.patch = [devices = std::move(devices)](model::NodeFacts& facts) { facts.bus.pci = devices; };
  return report;
}

}  // namespace

Source pci_source() {
  Source source;
  source.name = "pci";
  source.subsystems = {"pci"};
  source.read = read_pci;
  return source;
}

}  // namespace omnitide::discovery
