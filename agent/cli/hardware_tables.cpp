#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "agent/base/text.hpp"
#include "agent/cli/hardware.hpp"

namespace omnitide::cli {

namespace {

constexpr std::size_t kMostRows = 12;  // of one table: the whole stays near one screen

// A table under its name, and how many rows it left out.
std::string section(const char* name, const Table& table, std::size_t all, const Console& console) {
  if (table.empty()) return {};
  std::string out = fmt::format("\n{}\n{}", console.paint(name, Style::bold), table.render(console));
  if (all > table.size()) out += fmt::format("  and {} more: -o yaml\n", all - table.size());
  return out;
}

std::string disks(const model::StorageFacts& storage, const Console& console) {
  Table table({{"NAME"}, {"SIZE", true}, {"KIND"}, {"BUS"}, {"MEDIA"}, {"SERIAL"}, {"MODEL", false, true}}, 2);
  std::size_t all = 0;
  for (const model::BlockDevice& device : storage.devices) {
    const bool idle = device.size_bytes == 0 && (device.kind == "loop" || device.kind == "rom" || device.kind == "ram");
    if (device.kind == "partition" || device.kind == "ram" || idle) continue;
    if (++all > kMostRows) continue;
    std::string media;
    if (device.rotational) media = *device.rotational ? "rotating" : "solid state";
    if (device.kind != "disk") media = device.dm_name.empty() ? device.md_level : device.dm_name;
    std::string model = device.model;
    if (model.empty() && !device.stands_on.empty()) model = "on " + join(device.stands_on, ", ");
    table.row(
        {device.name, human_bytes(device.size_bytes), device.kind, device.transport, media, device.serial, model});
  }
  return section("Disks", table, all, console);
}

// Free bytes by mount point, from the samples of the filesystem source.
std::map<std::string, double> free_bytes(const std::vector<model::Sample>& samples) {
  std::map<std::string, double> out;
  for (const model::Sample& sample : samples) {
    const model::MetricDescriptor& metric = *sample.descriptor;
    if (metric.name != "node_filesystem_avail_bytes") continue;
    for (std::size_t i = 0; i < metric.labels.size() && i < sample.labels.size(); ++i) {
      if (metric.labels[i] == "mountpoint") out[sample.labels[i]] = sample.value;
    }
  }
  return out;
}

std::string filesystems(const model::StorageFacts& storage, const std::vector<model::Sample>& samples,
                        const Console& console) {
  const std::map<std::string, double> available = free_bytes(samples);
  Table table({{"MOUNTED AT"}, {"TYPE"}, {"SIZE", true}, {"FREE", true}, {"DEVICE", false, true}}, 2);
  std::size_t all = 0;
  for (const model::Filesystem& filesystem : storage.filesystems) {
    if (!filesystem.size_bytes.value_or(0) || !filesystem.device.starts_with('/')) continue;
    if (++all > kMostRows) continue;
    const auto found = available.find(filesystem.mount_point);
    const std::string left =
        found == available.end() ? "" : human_bytes(static_cast<unsigned long long>(found->second));
    table.row({filesystem.mount_point, filesystem.type, human_bytes(*filesystem.size_bytes), left, filesystem.device});
  }
  return section("Filesystems", table, all, console);
}

std::string speed_text(const model::NetworkInterface& nic) {
  if (!nic.speed_bits_per_second) return {};
  const double gigabits = static_cast<double>(*nic.speed_bits_per_second) / 1e9;
  return gigabits >= 1 ? fmt::format("{:g} Gb/s", gigabits) : fmt::format("{:g} Mb/s", gigabits * 1000);
}

std::string interfaces(const std::vector<model::NetworkInterface>& network, const Console& console) {
  Table table(
      {{"NAME"}, {"KIND"}, {"STATE"}, {"SPEED", true}, {"MTU", true}, {"MAC"}, {"DRIVER"}, {"ADDRESSES", false, true}},
      2);
  std::size_t all = 0;
  for (const model::NetworkInterface& nic : network) {
    if (++all > kMostRows) continue;
    std::string addresses = join(nic.addresses, ", ");
    if (nic.sriov_total.value_or(0) != 0)
      addresses +=
          fmt::format("{}SR-IOV {}/{}", addresses.empty() ? "" : "; ", nic.sriov_current.value_or(0), *nic.sriov_total);
    const Style style = nic.state == "up" ? Style::good : Style::plain;
    table.row({nic.name, nic.kind, Cell(nic.state, style), speed_text(nic), fmt::format("{}", nic.mtu), nic.mac,
               nic.driver, addresses});
  }
  return section("Network", table, all, console);
}

std::string devices(const model::BusFacts& bus, const Console& console) {
  Table table({{"ADDRESS"}, {"CLASS"}, {"DRIVER"}, {"DEVICE", false, true}}, 2);
  std::size_t all = 0;
  for (const model::PciDevice& device : bus.pci) {
    if (++all > kMostRows) continue;
    const std::string kind = device.class_name.empty() ? fmt::format("{:06x}", device.class_code) : device.class_name;
    const std::string name = device.vendor_name.empty()
                                 ? fmt::format("{:04x}:{:04x}", device.vendor_id, device.device_id)
                                 : fmt::format("{} {}", device.vendor_name, device.device_name);
    table.row({device.address, kind, device.driver, name});
  }
  for (const model::UsbDevice& device : bus.usb) {
    if (++all > kMostRows) continue;
    const std::string vendor = device.manufacturer.empty() ? device.vendor_name : device.manufacturer;
    const std::string product = device.product.empty() ? device.product_name : device.product;
    table.row({"usb " + device.path, fmt::format("{:04x}:{:04x}", device.vendor_id, device.product_id), "",
               fmt::format("{} {}", vendor, product)});
  }
  return section("Devices", table, all, console);
}

}  // namespace

std::string hardware_tables(const model::NodeFacts& facts, const std::vector<model::Sample>& samples,
                            const Console& console) {
  return disks(facts.storage, console) + filesystems(facts.storage, samples, console) +
         interfaces(facts.network, console) + devices(facts.bus, console);
}

}  // namespace omnitide::cli
