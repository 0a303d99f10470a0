#include "ebpf/collectors/cgroup_tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "ebpf/loader/cgroup2.hpp"

namespace omnitide::collectors {

namespace {

constexpr int kKernfsHandle = 0xfe;  // FILEID_KERNFS in include/linux/exportfs.h: the id is the whole handle
constexpr std::size_t kMostWalked = 20'000;

}  // namespace

Result<CgroupTree> CgroupTree::open(const std::string& configured, std::chrono::steady_clock::duration walk_interval) {
  CgroupTree out;
  Result<std::string> root = ebpf::cgroup2_root(configured);
  if (root.has_error()) return std::move(root).error();
  out.mount_point_ = std::move(*root);
  out.walk_interval_ = walk_interval;
  out.fd_.reset(::open(out.mount_point_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!out.fd_) return fail_errno(errno, "cannot open " + out.mount_point_);
  return out;
}

CgroupPlace CgroupTree::find(std::uint64_t id) {
  if (handles_) {
    CgroupPlace found = by_handle(id);
    if (handles_) return found;
  }
  return by_walk(id);
}

CgroupPlace CgroupTree::by_handle(std::uint64_t id) {
  // A flexible array member follows the header: the bytes are laid out by hand.
  alignas(file_handle) std::array<unsigned char, sizeof(file_handle) + sizeof id> bytes{};
  file_handle header{};
  header.handle_bytes = sizeof id;
  header.handle_type = kKernfsHandle;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, &id, sizeof id);
  const UniqueFd folder(
      ::open_by_handle_at(fd_.get(), reinterpret_cast<file_handle*>(bytes.data()), O_PATH | O_CLOEXEC));
  if (!folder) {
    handles_ = errno != EPERM && errno != EACCES && errno != ENOSYS && errno != EOPNOTSUPP;
    return {};
  }
  std::array<char, PATH_MAX> target{};
  const ssize_t length =
      ::readlink(fmt::format("/proc/self/fd/{}", folder.get()).c_str(), target.data(), target.size());
  if (length <= 0) return {};
  const std::string_view text(target.data(), static_cast<std::size_t>(length));
  if (!text.starts_with(mount_point_) || text.ends_with(" (deleted)")) return {};
  const std::string_view below = text.substr(mount_point_.size());
  return {CgroupPlace::Found::here, below.empty() ? std::string("/") : std::string(below)};
}

// Without that capability: the whole tree, now and then. inode numbers are the ids (kernfs, 64-bit systems).
CgroupPlace CgroupTree::by_walk(std::uint64_t id) {
  const auto known = walked_.find(id);
  if (known != walked_.end()) {
    struct stat now {};
    if (::stat((mount_point_ + known->second).c_str(), &now) == 0 && now.st_ino == id)
      return {CgroupPlace::Found::here, known->second};
    walked_.erase(known);
    gone_.insert(id);
    return {};
  }
  if (gone_.contains(id)) return {};
  const auto now = std::chrono::steady_clock::now();
  if (waiting_.size() < kMostWalked) waiting_.insert(id);
  if (walked_at_ != std::chrono::steady_clock::time_point{} && now - walked_at_ < walk_interval_)
    return {CgroupPlace::Found::not_yet, {}};
  walked_at_ = now;
  walk();
  const auto found = walked_.find(id);
  return found == walked_.end() ? CgroupPlace{} : CgroupPlace{CgroupPlace::Found::here, found->second};
}

void CgroupTree::walk() {
  namespace fs = std::filesystem;
  gone_ = std::exchange(waiting_, {});
  for (const auto& [id, path] : std::exchange(walked_, {}))
    gone_.insert(id);
  std::error_code problem;
  struct stat root {};
  if (::stat(mount_point_.c_str(), &root) == 0) walked_[root.st_ino] = "/";
  for (fs::recursive_directory_iterator at(mount_point_, problem), end; !problem && at != end; at.increment(problem)) {
    std::error_code ignored;
    if (!at->is_directory(ignored) || ignored) continue;
    struct stat folder {};
    if (::stat(at->path().c_str(), &folder) == 0)
      walked_[folder.st_ino] = at->path().string().substr(mount_point_.size());
    if (walked_.size() >= kMostWalked) break;
  }
  for (const auto& [id, path] : walked_)
    gone_.erase(id);
}

}  // namespace omnitide::collectors
