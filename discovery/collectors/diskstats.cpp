// I/O of block devices: /proc/diskstats, with what udev knows about them.
#include <fmt/format.h>

#include <map>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

// In the order of the file's columns: Documentation/admin-guide/iostats.rst.
constexpr std::array kColumns{
    counter("node_disk_reads_completed_total", "Reads that were done.", kByDevice),
    counter("node_disk_reads_merged_total", "Reads that were put together with others.", kByDevice),
    counter("node_disk_read_bytes_total", "Bytes that were read.", kByDevice),
    counter("node_disk_read_time_seconds_total", "Time that all reads took, each for itself.", kByDevice),
    counter("node_disk_writes_completed_total", "Writes that were done.", kByDevice),
    counter("node_disk_writes_merged_total", "Writes that were put together with others.", kByDevice),
    counter("node_disk_written_bytes_total", "Bytes that were written.", kByDevice),
    counter("node_disk_write_time_seconds_total", "Time that all writes took, each for itself.", kByDevice),
    gauge("node_disk_io_now", "Requests that are under way.", kByDevice),
    counter("node_disk_io_time_seconds_total", "Time during which some request was under way.", kByDevice),
    counter("node_disk_io_time_weighted_seconds_total", "Time that all requests took together, waiting included.",
            kByDevice),
    counter("node_disk_discards_completed_total", "Discards that were done.", kByDevice),
    counter("node_disk_discards_merged_total", "Discards that were put together with others.", kByDevice),
    counter("node_disk_discarded_sectors_total", "Sectors of 512 bytes that were discarded.", kByDevice),
    counter("node_disk_discard_time_seconds_total", "Time that all discards took, each for itself.", kByDevice),
    counter("node_disk_flush_requests_total", "Flushes that were done.", kByDevice),
    counter("node_disk_flush_requests_time_seconds_total", "Time that all flushes took, each for itself.", kByDevice)};
// What one unit of the column is in the unit of the family.
constexpr double kMillisecond = 1.0 / 1000.0, kSector = 512;
constexpr std::array<double, kColumns.size()> kScale{
    1, 1, kSector, kMillisecond, 1, 1,           kSector, kMillisecond, 1, kMillisecond, kMillisecond,
    1, 1, 1,       kMillisecond, 1, kMillisecond};

constexpr std::array<std::string_view, 8> kDiskstatsInfoLabels{"device", "major",    "minor",  "model",
                                                               "path",   "revision", "serial", "wwn"};
constexpr std::array<std::string_view, 5> kFilesystemLabels{"device", "type", "usage", "uuid", "version"};
constexpr std::array<std::string_view, 6> kMapperLabels{"device", "lv_layer", "lv_name", "name", "uuid", "vg_name"};
constexpr std::array kDiskstatsMore{
    gauge("node_disk_info", "What is known about a device; the value is 1.", kDiskstatsInfoLabels),
    gauge("node_disk_filesystem_info", "The filesystem on a device; the value is 1.", kFilesystemLabels),
    gauge("node_disk_device_mapper_info", "What a mapped device stands for; the value is 1.", kMapperLabels),
    gauge("node_disk_ata_write_cache", "1 when an ATA drive has a write cache.", kByDevice),
    gauge("node_disk_ata_write_cache_enabled", "1 when the write cache of an ATA drive is on.", kByDevice),
    gauge("node_disk_ata_rotation_rate_rpm", "Rotations a minute of an ATA drive, 0 for one without a disk.",
          kByDevice)};
constexpr auto kDiskstatsAll = pointers(kColumns, kDiskstatsMore);

// The properties of a device in udev's database, "E:NAME=value" a line.
class Properties {
 public:
  explicit Properties(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] std::string_view operator[](std::string_view name) const {
    std::string_view out;
    each_line(text_, [&](std::string_view line) {
      if (line.size() > name.size() + 2 && line.starts_with("E:") && line.substr(2).starts_with(name) &&
          line[name.size() + 2] == '=')
        out = line.substr(name.size() + 3);
    });
    return out;
  }
  [[nodiscard]] bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

void add_properties(std::string_view device, std::string_view major, std::string_view minor, const Properties& udev,
                    SampleBatch& batch) {
  batch.add(kDiskstatsMore[0], 1,
            {device, major, minor, udev["ID_MODEL"], udev["ID_PATH"], udev["ID_REVISION"], udev["ID_SERIAL_SHORT"],
             udev["ID_WWN"]});
  if (udev.empty()) return;
  if (const std::string_view type = udev["ID_FS_TYPE"]; !type.empty())
    batch.add(kDiskstatsMore[1], 1, {device, type, udev["ID_FS_USAGE"], udev["ID_FS_UUID"], udev["ID_FS_VERSION"]});
  if (const std::string_view name = udev["DM_NAME"]; !name.empty())
    batch.add(kDiskstatsMore[2], 1,
              {device, udev["DM_LV_LAYER"], udev["DM_LV_NAME"], name, udev["DM_UUID"], udev["DM_VG_NAME"]});
  if (udev["ID_ATA"].empty()) return;
  constexpr std::array<std::string_view, 3> kAta{"ID_ATA_WRITE_CACHE", "ID_ATA_WRITE_CACHE_ENABLED",
                                                 "ID_ATA_ROTATION_RATE_RPM"};
  for (std::size_t i = 0; i < kAta.size(); ++i)
    if (const auto value = value_of(udev[kAta.at(i)])) batch.add(kDiskstatsMore.at(i + 3), *value, {device});
}

struct DiskstatsState {
  Root root;
  KeptFile file;
  Filter devices;

  Result<> collect(SampleBatch& batch) {
    const Result<std::string_view> read = file.read();
    if (read.has_error()) return read.error();
    bool good = true;
    each_line(*read, [&](std::string_view line) {
      Words words(line);
      const std::string_view major = words.next(), minor = words.next(), device = words.next();
      if (major.empty()) return;
      if (device.empty() || !parse_number<std::uint32_t>(major) || !parse_number<std::uint32_t>(minor)) good = false;
      if (!good || !devices.accepts(device)) return;
      Result<std::string> properties = root.read(fmt::format("/run/udev/data/b{}:{}", major, minor));
      const Properties udev(properties.has_value() ? valid_utf8(*properties) : std::string{});
      add_properties(device, major, minor, udev, batch);
      // Older kernels have fewer columns.
      for (std::size_t i = 0; i < kColumns.size(); ++i) {
        const std::string_view word = words.next();
        if (word.empty()) break;
        const auto value = parse_number<std::uint64_t>(word);
        good = good && value;
        if (value) batch.add(kColumns.at(i), static_cast<double>(*value) * kScale.at(i), {device});
      }
    });
    return good ? Result<>{} : Result<>(fail(Code::invalid_argument, "/proc/diskstats is malformed"));
  }
};

}  // namespace

Collector diskstats_collector(const Root& root, const Settings& settings) {
  const auto state = std::make_shared<DiskstatsState>(
      DiskstatsState{root, KeptFile(root, "/proc/diskstats"),
                     Filter(settings.value("diskstats.device_include"), settings.value("diskstats.device_exclude"))});
  return {"diskstats", kDiskstatsAll, [state](SampleBatch& batch) { return state->collect(batch); }, "/proc/diskstats",
          kQuick};
}

}  // namespace omnitide::discovery
