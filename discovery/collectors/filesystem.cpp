// Space and inodes of mounted filesystems: the mounts of the first process, statfs(2) of each.
#include <fcntl.h>
#include <sys/vfs.h>

#include <set>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/filter.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::SampleBatch;

constexpr std::array<std::string_view, 3> kMountLabels{"device", "fstype", "mountpoint"};
constexpr std::array kFilesystemFamilies{
    gauge("node_filesystem_device_error", "1 when a filesystem did not say how full it is.", kMountLabels),
    gauge("node_filesystem_readonly", "1 when a filesystem is mounted read-only.", kMountLabels),
    gauge("node_filesystem_size_bytes", "Size of a filesystem.", kMountLabels),
    gauge("node_filesystem_free_bytes", "Free space, with what only root may use.", kMountLabels),
    gauge("node_filesystem_avail_bytes", "Free space that every user may use.", kMountLabels),
    gauge("node_filesystem_files", "Inodes of a filesystem.", kMountLabels),
    gauge("node_filesystem_files_free", "Inodes that are free.", kMountLabels)};
constexpr auto kFilesystemAll = pointers(kFilesystemFamilies);
constexpr std::size_t kMaxMounts = 8192;

// Blanks and tabs of names are escaped in the table of mounts (mangle() in fs/seq_file.c).
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i, 4);
    if (rest == "\\040" || rest == "\\011") {
      out += rest == "\\040" ? ' ' : '\t';
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool is_readonly(std::string_view options) {
  while (!options.empty())
    if (cut(options, ',') == "ro") return true;
  return false;
}

struct FilesystemState {
  Root root;
  KeptFile init, own;
  Filter mounts, types;

  [[nodiscard]] bool ask(const std::string& path, struct statfs& out) const {
    if (root.is_machine()) return ::statfs(root.outside(path).c_str(), &out) == 0;
    const Result<UniqueFd> fd = root.open_at(path, O_PATH);
    return fd.has_value() && ::fstatfs(fd->get(), &out) == 0;
  }

  void add(const std::string& device, const std::string& mount, std::string_view type, bool readonly,
           SampleBatch& batch) const {
    const std::string device_label = valid_utf8(device), mount_label = valid_utf8(mount), type_label = valid_utf8(type);
    const std::array<std::string_view, 3> labels{device_label, type_label, mount_label};
    struct statfs space {};
    const bool good = ask(mount, space);
    batch.add(kFilesystemFamilies[0], good ? 0 : 1, labels);
    batch.add(kFilesystemFamilies[1], readonly ? 1 : 0, labels);
    if (!good) return;
    const auto block = static_cast<double>(space.f_bsize);
    batch.add(kFilesystemFamilies[2], static_cast<double>(space.f_blocks) * block, labels);
    batch.add(kFilesystemFamilies[3], static_cast<double>(space.f_bfree) * block, labels);
    batch.add(kFilesystemFamilies[4], static_cast<double>(space.f_bavail) * block, labels);
    batch.add(kFilesystemFamilies[5], static_cast<double>(space.f_files), labels);
    batch.add(kFilesystemFamilies[6], static_cast<double>(space.f_ffree), labels);
  }

  Result<> collect(SampleBatch& batch) {
    // The first process has the mounts of the node, also when this one lives in a namespace of its own.
    Result<std::string_view> read = init.read();
    if (read.has_error()) read = own.read();
    if (read.has_error()) return read.error();
    std::set<std::string> seen;
    bool good = true;
    each_line(*read, [&](std::string_view line) {
      Words words(line);
      const std::string_view device = words.next(), mount = words.next(), type = words.next(), options = words.next();
      if (device.empty()) return;
      if (options.empty() || !mount.starts_with('/')) {
        good = false;
        return;
      }
      const std::string path = unescaped(mount);
      if (!mounts.accepts(path) || !types.accepts(type) || seen.size() >= kMaxMounts) return;
      const std::string source = unescaped(device);
      // Mounted over one another: the same series, once.
      if (!seen.insert(source + '\n' + path + '\n' + std::string(type)).second) return;
      add(source, path, type, is_readonly(options), batch);
    });
    return good ? Result<>{} : Result<>(fail(Code::invalid_argument, "/proc/1/mounts is malformed"));
  }
};

}  // namespace

Collector filesystem_collector(const Root& root, const Settings& settings) {
  const auto state = std::make_shared<FilesystemState>(
      FilesystemState{root, KeptFile(root, "/proc/1/mounts"), KeptFile(root, "/proc/self/mounts"),
                      Filter("", settings.value("filesystem.mount_points_exclude")),
                      Filter("", settings.value("filesystem.fs_types_exclude"))});
  const auto collect = [state](SampleBatch& batch) { return state->collect(batch); };
  return {"filesystem", kFilesystemAll, collect, "/proc/1/mounts, statfs", kPatient, true};
}

}  // namespace omnitide::discovery
