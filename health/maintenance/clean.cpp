#include "health/maintenance/clean.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/base/text.hpp"

namespace omnitide::health {

namespace {

using std::chrono::milliseconds;

constexpr unsigned kBlockBytes = 512;  // of stx_blocks
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

WallTime time_of(const struct statx_timestamp& time) {
  return WallTime{std::chrono::seconds(time.tv_sec) + std::chrono::milliseconds(time.tv_nsec / 1'000'000)};
}

bool look(int folder, const char* name, struct statx& out) {
  return ::statx(folder, name, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_MNT_ID,
                 &out) == 0;
}

// Each part by itself, so that a link in the middle is not followed either.
Result<UniqueFd> open_folder(const std::string& path) {
  UniqueFd at(::open("/", kFolderFlags));
  if (!at) return fail_errno(errno, "cannot open /");
  for (const std::string_view part : split(std::string_view(path).substr(1), '/')) {
    UniqueFd next(::openat(at.get(), std::string(part).c_str(), kFolderFlags));
    if (!next && (errno == ELOOP || errno == ENOTDIR))
      return fail(Code::failed_precondition, fmt::format("{} is no folder, or a part of it is a link", path));
    if (!next) return fail_errno(errno, "cannot open " + path);
    at = std::move(next);
  }
  return at;
}

class Cleaner {
 public:
  Cleaner(WallTime before, const CleanBounds& bounds, const struct statx& top)
      : before_(before), bounds_(bounds), top_(top), ends_(std::chrono::steady_clock::now() + bounds.time) {}

  void folder(UniqueFd fd, unsigned depth) {
    const std::unique_ptr<DIR, CloseFolder> open(::fdopendir(fd.get()));
    if (open == nullptr) return fail_one();
    const int number = fd.release();  // owned by the stream
    while (go_on()) {
      errno = 0;
      const dirent* entry = ::readdir(open.get());
      if (entry == nullptr) return errno == 0 ? void() : fail_one();
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") one(number, entry->d_name, depth);
    }
  }
  [[nodiscard]] const Cleaned& result() const { return result_; }

 private:
  bool go_on() {
    if (result_.entries < bounds_.entries && result_.removed < bounds_.removals &&
        std::chrono::steady_clock::now() < ends_)
      return true;
    result_.complete = false;
    return false;
  }
  void fail_one() { ++result_.failed; }

  void one(int folder_fd, const char* name, unsigned depth) {
    ++result_.entries;
    struct statx is {};
    if (!look(folder_fd, name, is)) return errno == ENOENT ? void() : fail_one();
    if (!same_place(is)) return;
    if (S_ISDIR(is.stx_mode)) {
      if (depth >= bounds_.depth) {
        result_.complete = false;
        return;
      }
      UniqueFd inner(::openat(folder_fd, name, kFolderFlags));
      struct statx opened {};
      if (!inner || !look(inner.get(), "", opened)) return fail_one();
      if (same_place(opened)) folder(std::move(inner), depth + 1);
      return;
    }
    if (!S_ISREG(is.stx_mode) || is.stx_nlink != 1) return;
    if (std::max(time_of(is.stx_mtime), time_of(is.stx_ctime)) >= before_) return;
    if (::unlinkat(folder_fd, name, 0) != 0) return errno == ENOENT ? void() : fail_one();
    ++result_.removed;
    result_.bytes += is.stx_blocks * kBlockBytes;
  }

  // Bind mounts have the device of what they show; kernels before 5.8 name no mount.
  [[nodiscard]] bool same_place(const struct statx& is) const {
    if (is.stx_dev_major != top_.stx_dev_major || is.stx_dev_minor != top_.stx_dev_minor) return false;
    return (is.stx_mask & top_.stx_mask & STATX_MNT_ID) == 0 || is.stx_mnt_id == top_.stx_mnt_id;
  }

  WallTime before_;
  CleanBounds bounds_;
  struct statx top_;
  std::chrono::steady_clock::time_point ends_;
  Cleaned result_;
};

}  // namespace

Result<Cleaned> clean(const std::string& path, milliseconds older_than, WallTime now, const CleanBounds& bounds) {
  Result<UniqueFd> top = open_folder(path);
  if (top.has_error()) return std::move(top).error();
  struct statx is {};
  if (!look(top->get(), "", is)) return fail_errno(errno, "cannot look at " + path);
  Cleaner cleaner(now - older_than, bounds, is);
  cleaner.folder(std::move(*top), 0);
  return cleaner.result();
}

}  // namespace omnitide::health
