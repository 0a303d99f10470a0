#include "discovery/sources/mounts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::discovery {

namespace {

std::string decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '\\' ? parse_number<std::uint8_t>(text.substr(i + 1, 3), 8) : std::nullopt;
    if (code && i + 3 < text.size()) {
      out += static_cast<char>(*code);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

void add_options(std::string_view list, std::vector<std::string>& options) {
  for (const std::string_view option : split(list, ',')) {
    if (option.empty()) continue;
    // A filesystem that is read-only makes every mount of it so, whatever the mount says (as /proc/mounts shows it).
    if (option == "ro") std::replace(options.begin(), options.end(), std::string("rw"), std::string("ro"));
    if (option == "rw" && std::find(options.begin(), options.end(), "ro") != options.end()) continue;
    std::string text = printable(decode(option), 256);
    if (std::find(options.begin(), options.end(), text) == options.end()) options.push_back(std::move(text));
  }
}

bool below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

bool kernel_interface(std::string_view type) {
  constexpr std::array<std::string_view, 26> kTypes{
      "autofs", "bdev",     "binfmt_misc", "bpf",        "cgroup",    "cgroup2", "configfs", "cpuset", "debugfs",
      "devpts", "devtmpfs", "efivarfs",    "fusectl",    "hugetlbfs", "mqueue",  "nsfs",     "proc",   "pstore",
      "ramfs",  "resctrl",  "rpc_pipefs",  "securityfs", "selinuxfs", "smackfs", "sysfs",    "tracefs"};
  static_assert(std::is_sorted(kTypes.begin(), kTypes.end()));
  return std::binary_search(kTypes.begin(), kTypes.end(), type);
}

bool transient_place(std::string_view path) {
  constexpr std::array<std::string_view, 7> kFolders{"/dev",
                                                     "/proc",
                                                     "/sys",
                                                     "/var/lib/docker",
                                                     "/var/lib/containers/storage",
                                                     "/var/lib/containerd",
                                                     "/var/lib/kubelet/pods"};
  const auto holds = [path](std::string_view folder) { return below(path, folder) && path != folder; };
  if (std::any_of(kFolders.begin(), kFolders.end(), holds)) return true;
  return below(path, "/run") && !below(path, "/run/media");
}

// A btrfs mount names its subvolume; a mount whose root is something else is a bind mount of a folder.
std::string subvolume(const Mount& mount) {
  if (mount.type != "btrfs") return {};
  const std::string option = "subvol=" + mount.root;
  return std::find(mount.options.begin(), mount.options.end(), option) == mount.options.end() ? "" : mount.root;
}

// Which of several mounts of one filesystem to show: the whole before a part of it, then the shortest path.
std::pair<bool, std::size_t> rank(const Mount& mount) { return {mount.root != "/", mount.mount_point.size()}; }

}  // namespace

MountTable parse_mountinfo(std::string_view text) {
  MountTable out;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const std::vector<std::string_view> words = split_words(line);
    // id, parent, major:minor, root, mount point, options, optional fields, "-", type, source, filesystem's options
    const auto dash = words.size() < 10 ? words.end() : std::find(words.begin() + 6, words.end(), "-");
    if (words.end() - dash < 4 || !words[4].starts_with('/')) {
      ++out.malformed;
      continue;
    }
    Mount mount{std::string(words[2]), decode(words[3]), decode(words[4]), std::string(dash[1]), decode(dash[2]), {}};
    add_options(words[5], mount.options);
    add_options(dash[3], mount.options);
    out.mounts.push_back(std::move(mount));
  }
  return out;
}

bool may_hang(std::string_view type) {
  constexpr std::array<std::string_view, 18> kTypes{"9p",   "acfs",  "afs",      "beegfs", "ceph",  "cifs",
                                                    "coda", "gfs2",  "gpfs",     "lustre", "ncpfs", "nfs",
                                                    "nfs4", "ocfs2", "orangefs", "smb3",   "smbfs", "virtiofs"};
  static_assert(std::is_sorted(kTypes.begin(), kTypes.end()));
  return type.starts_with("fuse") || std::binary_search(kTypes.begin(), kTypes.end(), type);
}

std::vector<Mount> select_filesystems(std::vector<Mount> mounts) {
  std::map<std::string, Mount> by_path;
  for (Mount& mount : mounts)
    by_path.insert_or_assign(mount.mount_point, std::move(mount));
  std::map<std::pair<std::string, std::string>, Mount> by_device;
  for (auto& [path, mount] : by_path) {
    // The root of a container is an overlay; other overlays come and go with containers.
    const bool overlay = mount.type == "overlay" && path != "/";
    if (kernel_interface(mount.type) || transient_place(path) || overlay) continue;
    const auto [place, fresh] = by_device.try_emplace({mount.device_number, subvolume(mount)}, mount);
    if (!fresh && rank(mount) < rank(place->second)) place->second = mount;
  }
  std::vector<Mount> out;
  out.reserve(by_device.size());
  for (auto& [key, mount] : by_device)
    out.push_back(std::move(mount));
  // A bind mount of a folder of a btrfs is none of its subvolumes.
  const auto bind = [&out](const Mount& mount) {
    if (mount.type != "btrfs" || !subvolume(mount).empty()) return false;
    return std::count_if(out.begin(), out.end(),
                         [&mount](const Mount& o) { return o.device_number == mount.device_number; }) > 1;
  };
  std::vector<Mount> kept;
  std::copy_if(out.begin(), out.end(), std::back_inserter(kept), [&bind](const Mount& mount) { return !bind(mount); });
  const auto by_point = [](const Mount& a, const Mount& b) { return a.mount_point < b.mount_point; };
  std::sort(kept.begin(), kept.end(), by_point);
  return kept;
}

}  // namespace omnitide::discovery
