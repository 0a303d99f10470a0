#include "health/maintenance/disk_report.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "agent/base/text.hpp"
#include "discovery/sources/nvme.hpp"
#include "health/maintenance/ata_smart.hpp"

namespace omnitide::health {

namespace {

constexpr std::size_t kMostDisks = 256;

Result<DiskHealth> read_nvme(const Root& root, const std::string& name) {
  const Result<std::string> page = discovery::read_nvme_smart(root, name);
  if (page.has_error()) return page.error();
  const auto log = discovery::decode_nvme_smart(*page);
  if (!log) return fail(Code::data_loss, name + " gives a page that is too short");
  DiskHealth out;
  out.name = name;
  out.used_ratio = log->used_ratio;
  out.spare_ratio = log->available_spare_ratio;
  out.spare_threshold_ratio = log->spare_threshold_ratio;
  out.critical_warning = log->critical_warning;
  return out;
}

Result<DiskHealth> read_ata(const std::string& name) {
  const Result<AtaHealth> health = read_ata_health("/dev/" + name);
  if (health.has_error()) return health.error();
  DiskHealth out;
  out.name = name;
  out.used_ratio = health->used_ratio;
  out.bad_sectors = health->bad_sectors;
  if (health->failing) out.failing = *health->failing ? 1 : 0;
  return out;
}

struct Family {
  std::string_view name, help;
  std::optional<double> DiskHealth::*member;
};
constexpr std::array kFamilies{
    Family{"omnitide_disk_used_ratio", "How much of its rated life a disk has used.", &DiskHealth::used_ratio},
    Family{"omnitide_disk_spare_ratio", "Spare blocks that an NVMe disk has left.", &DiskHealth::spare_ratio},
    Family{"omnitide_disk_spare_threshold_ratio", "Spare blocks below which the disk warns.",
           &DiskHealth::spare_threshold_ratio},
    Family{"omnitide_disk_critical_warning", "Bits by which an NVMe disk warns.", &DiskHealth::critical_warning},
    Family{"omnitide_disk_failing", "1 when an ATA disk itself expects to fail.", &DiskHealth::failing},
    Family{"omnitide_disk_bad_sectors", "Sectors that cannot be read.", &DiskHealth::bad_sectors}};

}  // namespace

DiskReport read_disks(const Root& root) {
  DiskReport out;
  const auto take = [&out](Result<DiskHealth> disk) {
    if (disk.has_error())
      out.problems.push_back(disk.error().text());
    else if (out.disks.size() < kMostDisks)
      out.disks.push_back(std::move(*disk));
  };
  for (const std::string& name : root.names("/sys/class/nvme"))
    take(read_nvme(root, name));
  for (const std::string& name : root.names("/sys/block"))
    if (root.attribute("/sys/block/" + name + "/device/vendor") == "ATA") take(read_ata(name));
  return out;
}

std::string render(const DiskReport& report, WallTime now) {
  std::string out =
      "# HELP omnitide_disk_report_time_seconds When the disks were asked.\n"
      "# TYPE omnitide_disk_report_time_seconds gauge\n";
  out += fmt::format("omnitide_disk_report_time_seconds {}\n",
                     std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count());
  for (const Family& family : kFamilies) {
    bool any = false;
    for (const DiskHealth& disk : report.disks) {
      const std::optional<double>& value = disk.*family.member;
      if (!value) continue;
      if (!std::exchange(any, true)) out += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", family.name, family.help);
      out += fmt::format("{}{{device=\"{}\"}} {}\n", family.name, printable(disk.name), *value);
    }
  }
  return out;
}

}  // namespace omnitide::health
