// Btrfs filesystems: /sys/fs/btrfs, and what only an ioctl of a mount tells about the devices.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/btrfs.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <map>
#include <set>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 2> kBtrfsInfoLabels{"label", "uuid"};
constexpr std::array<std::string_view, 2> kByType{"block_group_type", "uuid"};
constexpr std::array<std::string_view, 3> kBtrfsByMode{"block_group_type", "mode", "uuid"};
constexpr std::array<std::string_view, 3> kByDisk{"btrfs_dev_uuid", "device", "uuid"};
constexpr std::array<std::string_view, 2> kByDiskName{"device", "uuid"};
constexpr std::array<std::string_view, 4> kByError{"btrfs_dev_uuid", "device", "type", "uuid"};
constexpr std::array kBtrfsFamilies{
    gauge("node_btrfs_info", "A Btrfs filesystem; the value is 1.", kBtrfsInfoLabels),
    gauge("node_btrfs_global_rsv_size_bytes", "Space that is kept back for the filesystem itself.", kByUuid),
    gauge("node_btrfs_reserved_bytes", "Space that is reserved for data of a type.", kByType),
    gauge("node_btrfs_used_bytes", "Space that data of a type takes.", kBtrfsByMode),
    gauge("node_btrfs_size_bytes", "Space that data of a type may take.", kBtrfsByMode),
    gauge("node_btrfs_allocation_ratio", "Bytes on disk for a byte of a type.", kBtrfsByMode),
    gauge("node_btrfs_device_size_bytes", "Size of a device.", kByDisk),
    gauge("node_btrfs_device_unused_bytes", "Space of a device that is not handed out.", kByDisk),
    counter("node_btrfs_device_errors_total", "Errors of a device.", kByError),
    counter("node_btrfs_commits_total", "Transactions that were committed.", kByUuid),
    gauge("node_btrfs_last_commit_seconds", "How long the last commit took.", kByUuid),
    gauge("node_btrfs_max_commit_seconds", "How long the slowest commit took.", kByUuid),
    counter("node_btrfs_commit_seconds_total", "How long all commits took together.", kByUuid)};
// The same family where the ioctl cannot be asked.
constexpr std::array kPlain{gauge("node_btrfs_device_size_bytes", "Size of a device.", kByDiskName)};
constexpr auto kBtrfsAll = pointers(kBtrfsFamilies);
constexpr std::size_t kMaxDisks = 1024;

struct Disk {
  std::string name, uuid;
  double size = 0, used = 0;
  std::array<double, 5> errors{};
};
constexpr std::array<std::string_view, 5> kErrors{"write", "read", "flush", "corruption", "generation"};

std::string uuid_text(const std::uint8_t* bytes) {
  std::string out;
  for (std::size_t i = 0; i < 16; ++i)
    out += fmt::format("{:02x}", bytes[i]);
  return out;
}

// BTRFS_IOC_DEV_INFO and BTRFS_IOC_GET_DEV_STATS for each device; the ids have gaps.
std::vector<Disk> disks_of(int fd, const btrfs_ioctl_fs_info_args& filesystem) {
  std::vector<Disk> out;
  for (std::uint64_t id = 0; id <= filesystem.max_id && out.size() < filesystem.num_devices && out.size() < kMaxDisks;
       ++id) {
    btrfs_ioctl_dev_info_args info{};
    info.devid = id;
    if (::ioctl(fd, BTRFS_IOC_DEV_INFO, &info) != 0) {
      if (errno == ENODEV) continue;
      return {};
    }
    btrfs_ioctl_get_dev_stats stats{};
    stats.devid = id;
    stats.nr_items = BTRFS_DEV_STAT_VALUES_MAX;
    if (::ioctl(fd, BTRFS_IOC_GET_DEV_STATS, &stats) != 0) return {};
    const char* text = reinterpret_cast<const char*>(info.path);
    const std::string_view path(text, ::strnlen(text, sizeof info.path));
    Disk disk{valid_utf8(path.substr(path.rfind('/') + 1)),
              uuid_text(info.uuid),
              static_cast<double>(info.total_bytes),
              static_cast<double>(info.bytes_used),
              {}};
    for (std::size_t i = 0; i < disk.errors.size(); ++i)
      disk.errors.at(i) = static_cast<double>(stats.values[i]);
    out.push_back(std::move(disk));
  }
  return out;
}

// By the filesystem's id without hyphens.
std::map<std::string, std::vector<Disk>> ask_mounts(const Root& root, KeptFile& mounts) {
  std::map<std::string, std::vector<Disk>> out;
  const Result<std::string_view> text = mounts.read();
  if (text.has_error()) return out;
  std::set<std::string_view> asked;
  each_line(*text, [&](std::string_view line) {
    Words words(line);
    const std::string_view device = words.next(), mount = words.next(), type = words.next();
    if (type != "btrfs" || asked.contains(device)) return;
    const UniqueFd fd(
        ::open(root.outside(std::string(mount)).c_str(), O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC));
    btrfs_ioctl_fs_info_args info{};
    if (!fd || ::ioctl(fd.get(), BTRFS_IOC_FS_INFO, &info) != 0) return;
    asked.insert(device);
    out.emplace(uuid_text(info.fsid), disks_of(fd.get(), info));
  });
  return out;
}

void add_disks(const std::vector<Disk>& disks, std::string_view uuid, SampleBatch& batch) {
  for (const Disk& disk : disks) {
    batch.add(kBtrfsFamilies[6], disk.size, {disk.uuid, disk.name, uuid});
    batch.add(kBtrfsFamilies[7], disk.size - disk.used, {disk.uuid, disk.name, uuid});
    for (std::size_t i = 0; i < kErrors.size(); ++i)
      batch.add(kBtrfsFamilies[8], disk.errors.at(i), {disk.uuid, disk.name, kErrors.at(i), uuid});
  }
}

void add_allocation(const Root& root, const std::string& path, std::string_view uuid, SampleBatch& batch) {
  for (const std::string_view type : {"data", "metadata", "system"}) {
    const std::string at = fmt::format("{}/allocation/{}", path, type);
    Result<Folder> folder = Folder::open(root, at);
    if (folder.has_error()) continue;
    if (const auto value = folder->number("bytes_reserved")) batch.add(kBtrfsFamilies[2], *value, {type, uuid});
    (void)each_folder(root, at, [&](const std::string& mode, Folder& layout) {
      const auto used = layout.number("used_bytes"), size = layout.number("total_bytes");
      if (!used || !size) return;
      batch.add(kBtrfsFamilies[3], *used, {type, mode, uuid});
      batch.add(kBtrfsFamilies[4], *size, {type, mode, uuid});
      // How often each byte is on disk: two copies of everything but stripes and single ones.
      const bool twice = mode == "dup" || mode == "raid1" || mode == "raid10";
      const double ratio = mode == "raid1c3" ? 3 : mode == "raid1c4" ? 4 : twice ? 2 : 1;
      double disks = 0;
      for (const std::string& ignored : root.names(path + "/devices")) {
        (void)ignored;
        ++disks;
      }
      const double parity = mode == "raid5" ? 1 : mode == "raid6" ? 2 : 0;
      batch.add(kBtrfsFamilies[5], parity > 0 && disks > parity ? disks / (disks - parity) : ratio, {type, mode, uuid});
    });
  }
}

// "commits 3\nlast_commit_ms 4\n..." since Linux 6.0.
void add_commits(Folder& folder, std::string_view uuid, SampleBatch& batch) {
  const auto text = folder.text("commit_stats");
  if (!text) return;
  constexpr std::array<std::string_view, 4> kLines{"commits", "last_commit_ms", "max_commit_ms", "total_commit_ms"};
  each_line(*text, [&](std::string_view line) {
    Words words(line);
    const std::string_view name = words.next();
    for (std::size_t i = 0; i < kLines.size(); ++i) {
      if (name != kLines.at(i)) continue;
      if (const auto value = value_of(words.next()))
        batch.add(kBtrfsFamilies.at(i + 9), i == 0 ? *value : *value / 1000, {uuid});
    }
  });
}

void add_plain_disks(const Root& root, const std::string& path, std::string_view uuid, SampleBatch& batch) {
  for (const std::string& name : root.names(path + "/devices")) {
    const auto sectors = value_of(root.attribute(fmt::format("{}/devices/{}/size", path, name)));
    if (sectors) batch.add(kPlain[0], *sectors * 512, {name, uuid});
  }
}

}  // namespace

Collector btrfs_collector(const Root& root) {
  const auto mounts = std::make_shared<KeptFile>(root, "/proc/1/mounts");
  const auto collect = [root, mounts](SampleBatch& batch) -> Result<> {
    std::map<std::string, std::vector<Disk>> disks;
    bool asked = false;
    return each_folder(root, "/sys/fs/btrfs", [&](const std::string& uuid, Folder& folder) {
      if (uuid.find('-') == std::string::npos) return;  // "features"
      if (!std::exchange(asked, true) && root.is_machine()) disks = ask_mounts(root, *mounts);
      const std::string path = "/sys/fs/btrfs/" + uuid;
      batch.add(kBtrfsFamilies[0], 1, {folder.label("label"), uuid});
      if (Result<Folder> space = Folder::open(root, path + "/allocation"); space.has_value())
        if (const auto value = space->number("global_rsv_size")) batch.add(kBtrfsFamilies[1], *value, {uuid});
      add_allocation(root, path, uuid, batch);
      add_commits(folder, uuid, batch);
      std::string bare = uuid;
      std::erase(bare, '-');
      const auto known = disks.find(bare);
      if (known != disks.end() && !known->second.empty())
        add_disks(known->second, uuid, batch);
      else
        add_plain_disks(root, path, uuid, batch);
    });
  };
  return {"btrfs", kBtrfsAll, collect, "/sys/fs/btrfs, ioctl", kPatient, true};
}

}  // namespace omnitide::discovery
