// USB devices: /sys/bus/usb/devices without the interfaces ("1-1:1.0"). Kernel: Documentation/ABI/stable/sysfs-bus-usb.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/idsdb.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxUsbDevices = 4096;

// Megabits a second: "480", "10000", and "1.5" of a low-speed device, which counts as 2.
std::optional<std::uint32_t> speed(Reader& reader, const std::string& path) {
  const std::string text = reader.attribute(path);
  if (text.empty() || text == "unknown") return std::nullopt;
  if (text == "1.5") return 2;
  const auto value = parse_number<std::uint32_t>(text);
  if (!value) reader.malformed(path, text);
  return value;
}

std::optional<model::UsbDevice> read_device(Reader& reader, const std::string& name) {
  const std::size_t before = reader.problem_count();
  const std::string folder = fmt::format("/sys/bus/usb/devices/{}", name);
  const auto uevent = reader.file(folder + "/uevent");
  if (!uevent && reader.problem_count() == before) return std::nullopt;  // gone since it was listed
  model::UsbDevice device;
  device.path = device_text(name);
  if (uevent) {
    // "1d6b/2/602": vendor, product, release; hexadecimal without leading zeros. "9/0/1": class; decimal.
    const std::vector<std::string_view> ids = split(property(*uevent, "PRODUCT"), '/');
    const auto vendor = parse_number<std::uint16_t>(ids[0], 16);
    const auto product = ids.size() < 2 ? std::nullopt : parse_number<std::uint16_t>(ids[1], 16);
    if (!vendor || !product) reader.problem(fmt::format("{}/uevent states no ids", printable(folder)));
    device.vendor_id = vendor.value_or(0);
    device.product_id = product.value_or(0);
    device.device_class = parse_number<std::uint8_t>(split(property(*uevent, "TYPE"), '/')[0]).value_or(0);
  }
  device.manufacturer = device_text(reader.attribute(folder + "/manufacturer"));
  device.product = device_text(reader.attribute(folder + "/product"));
  device.serial = device_text(reader.attribute(folder + "/serial"));
  device.speed_megabits = speed(reader, folder + "/speed");
  return device;
}

Result<Report> read_usb(const Root& root) {
  Reader reader(root);
  const Result<std::vector<std::string>> names = root.list("/sys/bus/usb/devices");
  if (names.has_error() && names.error().code != Code::not_found) return names.error();
  std::vector<model::UsbDevice> devices;
  IdNames ids;
  if (names.has_value()) {
    for (const std::string& name : *names) {
      if (name.find(':') != std::string::npos) continue;
      if (devices.size() >= kMaxUsbDevices) {
        reader.problem(fmt::format("more than {} USB devices, leaving the rest out", kMaxUsbDevices));
        break;
      }
      std::optional<model::UsbDevice> device = read_device(reader, name);
      if (!device) continue;
      ids.want(device->vendor_id, device->product_id);
      devices.push_back(std::move(*device));
    }
  }
  ids.load(reader, "usb.ids");
  for (model::UsbDevice& device : devices) {
    device.vendor_name = ids.vendor(device.vendor_id);
    device.product_name = ids.device(device.vendor_id, device.product_id);
  }
  Report report;
  report.problems = std::move(reader).take_problems();
  report.patch = [devices = std::move(devices)](model::NodeFacts& facts) { facts.bus.usb = devices; };
  return report;
}

}  // namespace

Source usb_source() {
  Source source;
  source.name = "usb";
  source.subsystems = {"usb"};
  source.read = read_usb;
  return source;
}

}  // namespace omnitide::discovery
