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

#include "agent/base/file.hpp"
#include "ebpf/loader/cgroup2.hpp"

namespace omnitide::collectors {

namespace {

constexpr int kKernfsHandle = 0xfe;  // FILEID_KERNFS in include/linux/exportfs.h: the id is the whole handle
constexpr std::size_t kMostWalked = 20'000;
constexpr std::chrono::seconds kWalkInterval{10};

}  // namespace

Result<CgroupTree> CgroupTree::open(std::string mount_point) {
  CgroupTree out;
  if (mount_point.empty()) {
    const Result<std::string> mounts = read_file("/proc/self/mountinfo", std::size_t{16} << 20U);
    if (mounts.has_error()) return mounts.error();
    mount_point = ebpf::find_cgroup2(*mounts).value_or("");
    if (mount_point.empty()) return fail(Code::failed_precondition, "cgroup v2 is not mounted");
  }
  out.mount_point_ = std::move(mount_point);
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
  namespace fs = std::filesystem;
  const auto known = walked_.find(id);
  if (known != walked_.end()) {
    struct stat now {};
    if (::stat((mount_point_ + known->second).c_str(), &now) == 0 && now.st_ino == id)
      return {CgroupPlace::Found::here, known->second};
    walked_.erase(known);
    return {};
  }
  const auto now = std::chrono::steady_clock::now();
  if (walked_at_ != std::chrono::steady_clock::time_point{} && now - walked_at_ < kWalkInterval)
    return {CgroupPlace::Found::not_yet, {}};
  walked_at_ = now;
  walked_.clear();
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
  const auto found = walked_.find(id);
  return found == walked_.end() ? CgroupPlace{} : CgroupPlace{CgroupPlace::Found::here, found->second};
}

}  // namespace omnitide::collectors
