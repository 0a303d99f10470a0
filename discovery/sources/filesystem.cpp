// Mounted filesystems: /proc/self/mountinfo, and statvfs on those that cannot wait for another machine.
#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/base/text.hpp"
#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/mounts.hpp"
#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;

constexpr std::size_t kMaxMountTable = 4U << 20U;
constexpr std::size_t kMaxFilesystems = 512;
constexpr std::uint64_t kSmallestTmpfs = 1U << 20U;

constexpr std::array<std::string_view, 3> kLabels{"device", "fstype", "mountpoint"};
constexpr MetricDescriptor kSize{
    .name = "node_filesystem_size_bytes", .unit = "bytes", .help = "Filesystem size in bytes.", .labels = kLabels};
constexpr MetricDescriptor kFilesystemFree{.name = "node_filesystem_free_bytes",
                                           .unit = "bytes",
                                           .help = "Filesystem free space in bytes.",
                                           .labels = kLabels};
constexpr MetricDescriptor kFilesystemAvailable{.name = "node_filesystem_avail_bytes",
                                                .unit = "bytes",
                                                .help = "Filesystem space available to non-root users in bytes.",
                                                .labels = kLabels};
constexpr MetricDescriptor kFiles{
    .name = "node_filesystem_files", .unit = "", .help = "Filesystem total file nodes.", .labels = kLabels};
constexpr MetricDescriptor kFilesFree{
    .name = "node_filesystem_files_free", .unit = "", .help = "Filesystem total free file nodes.", .labels = kLabels};

// "size=24684084k" among the options of a tmpfs.
std::optional<std::uint64_t> size_option(const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    std::string_view text = option;
    if (!text.starts_with("size=")) continue;
    text.remove_prefix(5);
    unsigned shift = 0;
    if (text.ends_with('k')) shift = 10;
    if (text.ends_with('m')) shift = 20;
    if (text.ends_with('g')) shift = 30;
    if (shift != 0) text.remove_suffix(1);
    const auto value = parse_number<std::uint64_t>(text);
    if (value && *value <= (UINT64_MAX >> shift)) return *value << shift;
  }
  return std::nullopt;
}

void add_samples(const Mount& mount, const struct statvfs& stat, std::vector<model::Sample>& samples) {
  const std::vector<std::string> labels{printable(mount.source), printable(mount.type), printable(mount.mount_point)};
  const auto add = [&labels, &samples](const MetricDescriptor& descriptor, double value) {
    samples.push_back({&descriptor, labels, value});
  };
  const auto unit = static_cast<double>(stat.f_frsize);
  add(kSize, static_cast<double>(stat.f_blocks) * unit);
  add(kFilesystemFree, static_cast<double>(stat.f_bfree) * unit);
  add(kFilesystemAvailable, static_cast<double>(stat.f_bavail) * unit);
  add(kFiles, static_cast<double>(stat.f_files));
  add(kFilesFree, static_cast<double>(stat.f_ffree));
}

// Paths at or below a mount that may hang cannot be asked either: the look-up itself would wait.
class HangingPaths {
 public:
  explicit HangingPaths(const std::vector<Mount>& mounts) {
    for (const Mount& mount : mounts) {
      if (may_hang(mount.type) || mount.type == "autofs") paths_.push_back(mount.mount_point);
    }
  }
  [[nodiscard]] bool hold(std::string_view path) const {
    return std::any_of(paths_.begin(), paths_.end(), [path](const std::string& mount) {
      return path.starts_with(mount) && (path.size() == mount.size() || mount == "/" || path[mount.size()] == '/');
    });
  }

 private:
  std::vector<std::string> paths_;
};

void measure(const Mount& mount, model::Filesystem& filesystem, Reader& reader, std::vector<model::Sample>& samples) {
  const std::string path = reader.root().outside(mount.mount_point);
  struct statvfs stat {};
  if (::statvfs(path.c_str(), &stat) != 0) {
    // Unmounted since, or below a folder that only its owner may enter.
    if (errno != ENOENT && errno != EACCES)
      reader.problem(fail_errno(errno, fmt::format("cannot size {}", printable(mount.mount_point))).text());
    return;
  }
  // Where datasets share a pool, the size of one is what it holds plus what the pool has left: that is no fact.
  if (mount.type != "zfs") filesystem.size_bytes = std::uint64_t{stat.f_blocks} * stat.f_frsize;
  if (mount.type != "tmpfs" || filesystem.size_bytes >= kSmallestTmpfs) add_samples(mount, stat, samples);
}

Result<Report> read_filesystems(const Root& root) {
  Reader reader(root);
  Result<std::string> text = root.read(root.mountinfo(), kMaxMountTable);
  if (text.has_error() && text.error().code != Code::not_found) return text.error();
  if (text.has_error()) text = std::string{};
  MountTable table = parse_mountinfo(*text);
  if (table.malformed > 0)
    reader.problem(fmt::format("{} lines of mountinfo are malformed, skipping", table.malformed));
  const HangingPaths hanging(table.mounts);
  Report report;
  std::vector<model::Filesystem> filesystems;
  for (const Mount& mount : select_filesystems(std::move(table.mounts))) {
    if (filesystems.size() >= kMaxFilesystems) {
      reader.problem(fmt::format("more than {} filesystems, leaving the rest out", kMaxFilesystems));
      break;
    }
    model::Filesystem filesystem{printable(mount.source), printable(mount.mount_point), printable(mount.type, 64),
                                 mount.options, std::nullopt};
    if (mount.type == "tmpfs") filesystem.size_bytes = size_option(mount.options);
    if (root.is_machine() && !hanging.hold(mount.mount_point)) measure(mount, filesystem, reader, report.samples);
    const bool tiny = mount.type == "tmpfs" && filesystem.size_bytes.value_or(kSmallestTmpfs) < kSmallestTmpfs;
    if (!tiny) filesystems.push_back(std::move(filesystem));
  }
  report.problems = std::move(reader).take_problems();
  report.patch = [filesystems = std::move(filesystems)](model::NodeFacts& facts) {
    facts.storage.filesystems = filesystems;
  };
  return report;
}

}  // namespace

Source filesystem_source() {
  Source source;
  source.name = "filesystem";
  source.on_mounts = true;
  source.read = read_filesystems;
  return source;
}

}  // namespace omnitide::discovery
