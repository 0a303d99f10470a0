// Block devices: /sys/block, and /run/udev/data for what only udev asked the device. Kernel:
// Documentation/ABI/stable/sysfs-block; units of `size` are 512 bytes whatever the device's sector size.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/reader.hpp"
#include "discovery/sources/sysfs.hpp"

namespace omnitide::discovery {

namespace {

using model::BlockDevice;
using Devices = std::vector<BlockDevice>;

constexpr std::size_t kMaxBlockDevices = 8192;
constexpr std::uint64_t kSizeUnit = 512;

std::string_view kind_of(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kPrefixes{
      {{"loop", "loop"}, {"dm-", "dm"}, {"md", "md"}, {"zram", "zram"}, {"ram", "ram"}, {"sr", "rom"}}};
  for (const auto& [prefix, kind] : kPrefixes) {
    if (name.starts_with(prefix)) return kind;
  }
  return "disk";
}

std::string transport_of(std::string_view path, std::string_view name) {
  if (name.starts_with("nvme")) return "nvme";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kMarks{{{"/virtio", "virtio"},
                                                                                  {"/usb", "usb"},
                                                                                  {"/ata", "sata"},
                                                                                  {"/session", "iscsi"},
                                                                                  {"/rport-", "fc"},
                                                                                  {"/end_device-", "sas"},
                                                                                  {"/mmc_host/", "mmc"},
                                                                                  {"/vbd-", "xen"},
                                                                                  {"/ndbus", "nvdimm"},
                                                                                  {"ufshc", "ufs"}}};
  for (const auto& [mark, transport] : kMarks) {
    if (path.find(mark) != std::string_view::npos) return std::string(transport);
  }
  return {};
}

// The hidden path devices of a multipath NVMe namespace, "nvme0c1n1"; the namespace itself is "nvme0n1".
bool is_nvme_path(std::string_view name) {
  return name.starts_with("nvme") && name.find('c', 4) != std::string_view::npos;
}

// "none [mq-deadline] kyber" -> "mq-deadline"; a word alone is the answer.
std::string active_choice(std::string_view text) {
  const std::size_t open = text.find('[');
  if (open == std::string_view::npos) return device_text(text);
  const std::size_t close = text.find(']', open);
  return device_text(text.substr(open + 1, close == std::string_view::npos ? close : close - open - 1));
}

// An array goes to and fro between clean and active with every write: as a fact both are "active".
std::string md_state(Reader& reader, const std::string& folder) {
  const std::string state = reader.attribute(folder + "/md/array_state");
  constexpr std::array<std::string_view, 4> kRunning{"clean", "active", "active-idle", "write-pending"};
  if (std::find(kRunning.begin(), kRunning.end(), state) == kRunning.end()) return device_text(state);
  const auto degraded = reader.number<std::uint32_t>(folder + "/md/degraded");
  return degraded.value_or(0) > 0 ? "degraded" : "active";
}

// SCSI unit serial number (SPC-4, 7.8.15): page code 0x80 in byte 1, length in bytes 2 and 3, text from byte 4.
std::string scsi_serial(Reader& reader, const std::string& folder) {
  const auto page = reader.file(folder + "/device/vpd_pg80", 4096);
  if (!page || page->size() < 4 || (*page)[1] != '\x80') return {};
  const auto byte = [&page](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>((*page)[i])); };
  const std::string_view text = std::string_view(*page).substr(4, byte(2) << 8U | byte(3));
  return device_text(text.substr(0, text.find('\0')));
}

// The records of udev's database: "E:KEY=value" lines.
std::string udev_property(std::string_view record, std::string_view key) {
  return device_text(property(record, fmt::format("E:{}", key)));
}

std::string udev_record(Reader& reader, std::string_view uevent) {
  const auto major = parse_number<std::uint32_t>(property(uevent, "MAJOR"));
  const auto minor = parse_number<std::uint32_t>(property(uevent, "MINOR"));
  if (!major || !minor) return {};
  return reader.file(fmt::format("/run/udev/data/b{}:{}", *major, *minor)).value_or("");
}

std::string uevent_of(Reader& reader, const std::string& folder) {
  return reader.file(folder + "/uevent").value_or("");
}

void read_identity(Reader& reader, const std::string& folder, const std::vector<std::string>& entries,
                   BlockDevice& disk) {
  const auto has = [&entries](std::string_view entry) {
    return std::binary_search(entries.begin(), entries.end(), entry);
  };
  const std::string& transport = disk.transport;
  if (has("wwid")) disk.wwn = device_text(reader.attribute(folder + "/wwid"));
  // The kernel asks a virtio disk for its serial by a request in the disk's queue; udev has asked before.
  if (transport == "virtio") disk.serial = udev_property(udev_record(reader, uevent_of(reader, folder)), "ID_SERIAL");
  if (has("serial") && disk.serial.empty()) disk.serial = device_text(reader.attribute(folder + "/serial"));
  if (!has("device")) return;
  if (transport == "mmc") {
    disk.model = device_text(reader.attribute(folder + "/device/name"));
    disk.serial = device_text(reader.attribute(folder + "/device/serial"));
  } else if (transport == "nvme") {
    disk.model = device_text(reader.attribute(folder + "/device/model"));
    disk.serial = device_text(reader.attribute(folder + "/device/serial"));
  } else if (transport != "virtio" && transport != "xen") {
    disk.model = device_text(reader.attribute(folder + "/device/model"));
    disk.serial = scsi_serial(reader, folder);
    if (disk.wwn.empty()) disk.wwn = device_text(reader.attribute(folder + "/device/wwid"));
  }
  if (!disk.serial.empty() || transport == "virtio" || transport == "xen") return;
  const std::string record = udev_record(reader, uevent_of(reader, folder));
  disk.serial = udev_property(record, "ID_SERIAL_SHORT");
  if (disk.wwn.empty()) disk.wwn = udev_property(record, "ID_WWN");
}

// The driver of the device behind a disk; that of an NVMe namespace is its controller's.
std::string driver_of(Reader& reader, const std::string& folder, std::string_view transport) {
  const char* device = transport == "nvme" ? "/device/device/driver" : "/device/driver";
  return device_text(reader.root().link_name(folder + device));
}

void read_queue(Reader& reader, const std::string& folder, BlockDevice& disk) {
  const std::string queue = folder + "/queue";
  disk.logical_sector_bytes = reader.number<std::uint32_t>(queue + "/logical_block_size").value_or(0);
  disk.physical_sector_bytes = reader.number<std::uint32_t>(queue + "/physical_block_size").value_or(0);
  if (const auto rotational = reader.number<std::uint32_t>(queue + "/rotational")) disk.rotational = *rotational != 0;
  disk.scheduler = active_choice(reader.attribute(queue + "/scheduler"));
  disk.zoned = device_text(reader.attribute(queue + "/zoned"));
}

void read_stack(Reader& reader, const std::string& folder, const std::vector<std::string>& entries, BlockDevice& disk) {
  const auto has = [&entries](std::string_view entry) {
    return std::binary_search(entries.begin(), entries.end(), entry);
  };
  if (has("dm")) {
    disk.dm_name = device_text(reader.attribute(folder + "/dm/name"));
    disk.dm_uuid = device_text(reader.attribute(folder + "/dm/uuid"));
  }
  if (has("md")) {
    disk.md_level = device_text(reader.attribute(folder + "/md/level"));
    disk.md_state = md_state(reader, folder);
  }
  if (disk.kind == "loop") disk.stands_on.push_back(printable(reader.attribute(folder + "/loop/backing_file")));
  if (disk.kind == "loop" || disk.kind == "zram" || disk.kind == "ram" || !has("slaves")) return;
  for (const std::string& slave : reader.names(folder + "/slaves"))
    disk.stands_on.push_back(device_text(slave));
}

std::uint64_t size_of(Reader& reader, const std::string& folder) {
  const auto units = reader.number<std::uint64_t>(folder + "/size");
  return units && *units <= UINT64_MAX / kSizeUnit ? *units * kSizeUnit : 0;
}

void read_partition(Reader& reader, const std::string& folder, const std::string& name, const BlockDevice& disk,
                    Devices& out) {
  BlockDevice part;
  part.name = device_text(name);
  part.kind = "partition";
  part.parent = disk.name;
  part.size_bytes = size_of(reader, folder);
  part.read_only = reader.number<std::uint32_t>(folder + "/ro").value_or(0) != 0;
  part.logical_sector_bytes = disk.logical_sector_bytes;
  part.physical_sector_bytes = disk.physical_sector_bytes;
  part.rotational = disk.rotational;
  const std::string uevent = uevent_of(reader, folder);
  part.partition_name = device_text(property(uevent, "PARTNAME"));
  part.partition_uuid = device_text(property(uevent, "PARTUUID"));
  if (part.partition_uuid.empty()) {  // the kernel states it since 6.14 only
    const std::string record = udev_record(reader, uevent);
    part.partition_uuid = udev_property(record, "ID_PART_ENTRY_UUID");
  }
  out.push_back(std::move(part));
}

void read_disk(Reader& reader, const std::string& name, Devices& out) {
  const std::string folder = fmt::format("/sys/block/{}", name);
  BlockDevice disk;
  disk.name = device_text(name);
  std::replace(disk.name.begin(), disk.name.end(), '!', '/');  // sysfs' way to write cciss/c0d0
  disk.kind = kind_of(name);
  disk.size_bytes = size_of(reader, folder);
  const bool may_be_unused = disk.kind == "loop" || disk.kind == "ram" || disk.kind == "zram";
  if (may_be_unused && disk.size_bytes == 0) return;
  const std::vector<std::string> entries = reader.names(folder);
  if (entries.empty()) return;  // gone since it was listed, or no folder at all
  const std::string path = device_path(reader.root().link_target(folder));
  if (!path.starts_with("/sys/devices/virtual/") || name.starts_with("nvme")) {
    disk.transport = transport_of(path, name);
    disk.numa_node = numa_node(reader, pci_ancestor(path));
    disk.driver = driver_of(reader, folder, disk.transport);
  }
  disk.read_only = reader.number<std::uint32_t>(folder + "/ro").value_or(0) != 0;
  disk.removable = reader.number<std::uint32_t>(folder + "/removable").value_or(0) != 0;
  read_queue(reader, folder, disk);
  read_identity(reader, folder, entries, disk);
  read_stack(reader, folder, entries, disk);
  out.push_back(disk);
  for (const std::string& entry : entries) {
    if (!entry.starts_with(name) || out.size() >= kMaxBlockDevices) continue;
    const std::string part = fmt::format("{}/{}", folder, entry);
    if (reader.root().exists(part + "/partition")) read_partition(reader, part, entry, disk, out);
  }
}

Result<Report> read_block(const Root& root) {
  Reader reader(root);
  const Result<std::vector<std::string>> names = root.list("/sys/block");
  if (names.has_error() && names.error().code != Code::not_found) return names.error();
  Devices devices;
  if (names.has_value()) {
    for (const std::string& name : *names) {
      if (devices.size() >= kMaxBlockDevices) {
        reader.problem(fmt::format("more than {} block devices, leaving the rest out", kMaxBlockDevices));
        break;
      }
      if (!is_nvme_path(name)) read_disk(reader, name, devices);
    }
  }
  Report report;
  report.problems = std::move(reader).take_problems();
  report.patch = [devices = std::move(devices)](model::NodeFacts& facts) { facts.storage.devices = devices; };
  return report;
}

}  // namespace

Source block_source() {
  Source source;
  source.name = "block";
  source.subsystems = {"block"};
  source.read = read_block;
  return source;
}

}  // namespace omnitide::discovery
