#include "ebpf/enforcement/pins.hpp"

#include <bpf/bpf.h>
#include <dirent.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::enforcement {

namespace {

constexpr mode_t kMode = 0700;
constexpr std::string_view kVersion = "policy-v";
constexpr std::string_view kTemporary = "-new";  // a name in a bpffs may not have a dot
constexpr std::array<std::string_view, 3> kHooks{"in", "out", "xdp"};
constexpr std::string_view kCgroup = "cgroup";

std::vector<std::string> names(const std::string& folder) {
  std::vector<std::string> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), &::closedir);
  if (!dir) return out;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = &entry->d_name[0];
    if (name != "." && name != "..") out.emplace_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string parent(const std::string& path) {
  const auto slash = path.find_last_of('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<> require_bpffs(const std::string& base) {
  std::string place = base;
  struct statfs about {};
  while (::statfs(place.c_str(), &about) != 0) {
    if (errno != ENOENT || place == "/") return fail_errno(errno, "cannot look at " + base);
    place = parent(place);
  }
  if (static_cast<std::uint64_t>(about.f_type) == BPF_FS_MAGIC) return {};
  return fail(Code::failed_precondition, base + " is not in a BPF file system, so policy could not outlive the agent")
      .with_hint("mount one: mount -t bpf bpf /sys/fs/bpf; in a container, mount the host's /sys/fs/bpf");
}

Shared open_maps(const std::string& folder) {
  Shared out;
  for (std::size_t i = 0; i < kTables; ++i) {
    const std::string path = fmt::format("{}/{}", folder, kTableNames[i]);
    const int fd = bpf_obj_get(path.c_str());
    if (fd >= 0) out[i].reset(fd);
  }
  return out;
}

// And what is in it, but for folders.
Result<> remove_folder(const std::string& folder) {
  for (const std::string& name : names(folder)) {
    const std::string path = folder + "/" + name;
    struct stat about {};
    if (::lstat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) continue;
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + path);
  }
  if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + folder);
  return {};
}

Result<> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), kMode) == 0 || errno == EEXIST) return {};
  return fail_errno(errno, "cannot make " + path);
}

}  // namespace

std::string link_name(const LinkKey& key) {
  if (key.hook == Hook::cgroup) return std::string(kCgroup);
  return fmt::format("{}-{}", key.ifindex, kHooks[static_cast<std::size_t>(key.hook)]);
}

std::optional<LinkKey> parse_link_name(std::string_view name) {
  if (name == kCgroup) return LinkKey{0, Hook::cgroup};
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto ifindex = parse_number<std::uint32_t>(name.substr(0, dash));
  const auto hook = std::find(kHooks.begin(), kHooks.end(), name.substr(dash + 1));
  if (!ifindex || *ifindex == 0 || hook == kHooks.end()) return std::nullopt;
  return LinkKey{*ifindex, static_cast<Hook>(hook - kHooks.begin())};
}

Result<Pins> Pins::open(const std::string& base, unsigned abi, std::shared_ptr<Faults> faults) {
  if (const Result<> good = require_bpffs(base); good.has_error()) return good.error();
  Pins out(base, fmt::format("{}/{}{}", base, kVersion, abi), std::move(faults));
  if (const Result<> made = make_folders(base, kMode); made.has_error()) return made.error();
  for (const std::string& folder : {out.folder_, out.folder_ + "/links"}) {
    if (const Result<> made = make_folder(folder); made.has_error()) return made.error();
  }
  return out;
}

Shared Pins::maps() const { return open_maps(folder_); }

Shared Pins::foreign_maps() const {
  Shared out;
  for (const std::string& folder : versions()) {
    if (folder == folder_) continue;
    Shared maps = open_maps(folder);
    if (maps[static_cast<std::size_t>(Table::connections)]) out = std::move(maps);
  }
  return out;
}

Result<> Pins::pin(const Maps& maps) const {
  for (std::size_t i = 0; i < kTables; ++i) {
    const std::string path = fmt::format("{}/{}", folder_, kTableNames[i]);
    const std::string fresh = path + std::string(kTemporary);
    if (Result<> alive = faults_->step(); alive.has_error()) return alive;
    if (::unlink(fresh.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + fresh);
    if (const int result = bpf_obj_pin(maps[static_cast<Table>(i)].fd.get(), fresh.c_str()); result != 0)
      return fail_errno(-result, "cannot pin " + fresh);
    if (::rename(fresh.c_str(), path.c_str()) != 0) return fail_errno(errno, "cannot rename " + fresh);
  }
  return {};
}

std::vector<PinnedLink> Pins::links() const {
  std::vector<PinnedLink> out;
  for (const std::string& folder : versions()) {
    for (const std::string& name : names(folder + "/links")) {
      if (const auto key = parse_link_name(name))
        out.push_back({.key = *key, .path = folder + "/links/" + name, .ours = folder == folder_});
    }
  }
  return out;
}

Result<> Pins::pin_link(int fd, const LinkKey& key) const {
  const std::string path = link_path(key);
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, "cannot remove " + path);
  if (const int result = bpf_obj_pin(fd, path.c_str()); result != 0) return fail_errno(-result, "cannot pin " + path);
  return {};
}

Result<> Pins::adopt(const PinnedLink& link) const {
  if (link.ours) return {};
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  if (::rename(link.path.c_str(), link_path(link.key).c_str()) == 0) return {};
  return fail_errno(errno, "cannot move " + link.path);
}

std::set<LinkKey> Pins::guards() const {
  std::set<LinkKey> out;
  for (const std::string& name : names(base_ + "/closed")) {
    if (const auto key = parse_link_name(name)) out.insert(*key);
  }
  return out;
}

Result<> Pins::remove(const std::string& path) const {
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, "cannot remove " + path);
}

std::vector<std::string> Pins::versions() const {
  std::vector<std::string> out;
  for (const std::string& name : names(base_)) {
    if (name.starts_with(kVersion)) out.push_back(base_ + "/" + name);
  }
  return out;
}

Result<> Pins::remove_version(const std::string& folder) const {
  if (Result<> alive = faults_->step(); alive.has_error()) return alive;
  Result<> removed = remove_folder(folder + "/links");
  return removed ? remove_folder(folder) : removed;
}

Result<> Pins::remove_other_versions() const {
  for (const std::string& folder : versions()) {
    if (folder == folder_) continue;
    if (Result<> removed = remove_version(folder); removed.has_error()) return removed;
  }
  return {};
}

Result<> Pins::remove_all() const {
  for (const std::string& folder : versions()) {
    if (Result<> removed = remove_version(folder); removed.has_error()) return removed;
  }
  if (Result<> removed = remove_folder(base_ + "/closed"); removed.has_error()) return removed;
  if (::rmdir(base_.c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EBUSY)
    return fail_errno(errno, "cannot remove " + base_);
  return {};
}

}  // namespace omnitide::enforcement
