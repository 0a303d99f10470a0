#include "agent/base/root.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "agent/base/text.hpp"

namespace omnitide {

namespace {

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

int open_in_root(int root, const char* path, std::uint64_t flags) {
  // The same to the kernel; whoever goes by the name alone, as an emulator that has a /proc/cpuinfo of its own, does
  // not take it for the machine's.
  while (*path == '/')
    ++path;
  if (*path == '\0') path = ".";
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  // EAGAIN: something was renamed or mounted somewhere on the machine while ".." was resolved; openat2(2) says to try
  // again.
  constexpr int kTries = 64;
  int fd = -1;
  for (int i = 0; i < kTries; ++i) {
    fd = static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
    if (fd >= 0 || errno != EAGAIN) break;
  }
  return fd;
}

}  // namespace

Result<Root> Root::open(const std::string& path) {
  std::array<char, PATH_MAX> real{};
  if (::realpath(path.c_str(), real.data()) == nullptr)
    return fail_errno(errno, fmt::format("cannot open the root {}", path));
  UniqueFd fd(::open(real.data(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, fmt::format("cannot open the root {}", path));
  Root root;
  root.fd_ = std::make_shared<const UniqueFd>(std::move(fd));
  root.path_ = real.data();
  root.machine_ = root.path_ == "/";
  return root;
}

Result<Root> Root::machine(const std::string& path) {
  Result<Root> root = open(path);
  if (root.has_value()) root->machine_ = true;
  return root;
}

Result<UniqueFd> Root::open_at(const std::string& path, int flags) const {
  // O_NONBLOCK keeps a FIFO that poses as a file from blocking. openat2 refuses it beside O_PATH, which never blocks.
  if ((flags & O_PATH) == 0) flags |= O_NONBLOCK | O_NOCTTY;
  int fd = open_in_root(fd_->get(), path.c_str(), static_cast<std::uint64_t>(flags));
  // Kernels before 5.6 lack openat2. There "/" can be opened plainly; a fixture root is for tests and needs the call.
  if (fd < 0 && errno == ENOSYS && path_ == "/") fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd >= 0) return UniqueFd(fd);
  Error error = fail_errno(errno, fmt::format("cannot open {}", path));
  if (errno != ENOSYS) return error;
  return std::move(error).with_hint(
      "openat2 is missing: a kernel before 5.6, or a filter of system calls such as RestrictSUIDSGID=yes of systemd");
}

Result<std::string> Root::read(const std::string& path, std::size_t limit) const {
  const Result<UniqueFd> fd = open_at(path, O_RDONLY);
  if (fd.has_error()) return fd.error();
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0) return fail_errno(errno, fmt::format("cannot read {}", path));
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, fmt::format("{} is not a regular file", path));
  std::string out;
  std::array<char, 4096> chunk;  // not set to zero: there are hundreds of these reads
  while (true) {
    const ssize_t got = ::read(fd->get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, fmt::format("cannot read {}", path));
    if (got == 0) return out;
    out.append(chunk.data(), static_cast<std::size_t>(got));
    if (out.size() > limit)
      return fail(Code::resource_exhausted, fmt::format("{} is longer than {} bytes", path, limit));
  }
}

std::string Root::attribute(const std::string& path) const {
  const Result<std::string> content = read(path);
  if (content.has_error()) return {};
  const std::string_view text = *content;
  return std::string(trim(text.substr(0, text.find('\n'))));
}

Result<std::vector<std::string>> Root::list(const std::string& path, std::size_t limit) const {
  Result<UniqueFd> fd = open_at(path, O_RDONLY | O_DIRECTORY);
  if (fd.has_error()) return fd.error();
  const std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd->get()));
  if (!dir) return fail_errno(errno, fmt::format("cannot list {}", path));
  (void)fd->release();  // the DIR owns it now
  std::vector<std::string> out;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (out.size() >= limit)
      return fail(Code::resource_exhausted, fmt::format("{} has more than {} entries", path, limit));
    out.emplace_back(name);
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> Root::names(const std::string& path) const {
  Result<std::vector<std::string>> listed = list(path);
  return listed.has_value() ? std::move(*listed) : std::vector<std::string>{};
}

bool Root::exists(const std::string& path) const { return open_at(path, O_PATH).has_value(); }

std::string Root::link_target(const std::string& path) const {
  const Result<UniqueFd> fd = open_at(path, O_PATH | O_NOFOLLOW);
  if (fd.has_error()) return {};
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlinkat(fd->get(), "", target.data(), target.size());
  return length > 0 ? std::string(target.data(), static_cast<std::size_t>(length)) : std::string{};
}

std::string Root::link_name(const std::string& path) const {
  const std::string target = link_target(path);
  return target.substr(target.rfind('/') + 1);
}

std::string Root::resolve(const std::string& path) const {
  const Result<UniqueFd> fd = open_at(path, O_PATH);
  if (fd.has_error()) return {};
  std::array<char, PATH_MAX> real{};
  const ssize_t length = ::readlink(fmt::format("/proc/self/fd/{}", fd->get()).c_str(), real.data(), real.size());
  if (length <= 0) return {};
  std::string_view inside(real.data(), static_cast<std::size_t>(length));
  if (path_ != "/" && !inside.starts_with(path_)) return {};
  if (path_ != "/") inside.remove_prefix(path_.size());
  return inside.empty() ? "/" : std::string(inside);
}

}  // namespace omnitide
