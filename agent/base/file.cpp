#include "agent/base/file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/base/fd.hpp"

namespace omnitide {

namespace {

Result<> write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd, content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail_errno(errno, fmt::format("cannot write {}", path));
    content.remove_prefix(static_cast<std::size_t>(wrote));
  }
  return {};
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd) return fail_errno(errno, fmt::format("cannot read {}", path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return fail_errno(errno, fmt::format("cannot read {}", path));
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, fmt::format("{} is not a regular file", path));
  std::string out;
  while (true) {
    const std::size_t have = out.size();
    out.resize(have + 4096);
    const ssize_t got = ::read(fd.get(), out.data() + have, 4096);
    const int problem = errno;
    out.resize(have + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got < 0 && problem == EINTR) continue;
    if (got < 0) return fail_errno(problem, fmt::format("cannot read {}", path));
    if (got == 0) return out;
    if (out.size() > limit) {
      return fail(Code::resource_exhausted, fmt::format("{} is longer than {} bytes", path, limit));
    }
  }
}

Result<> write_file_durably(const std::string& path, std::string_view content, mode_t mode) {
  const std::string temporary = path + ".new";
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd) return fail_errno(errno, fmt::format("cannot create {}", temporary));
  Result<> wrote = write_all(fd.get(), content, temporary);
  if (wrote.has_value() && ::fsync(fd.get()) != 0) wrote = fail_errno(errno, fmt::format("cannot sync {}", temporary));
  fd.reset();
  if (wrote.has_value() && ::rename(temporary.c_str(), path.c_str()) != 0) {
    wrote = fail_errno(errno, fmt::format("cannot rename {} to {}", temporary, path));
  }
  if (wrote.has_error()) {
    ::unlink(temporary.c_str());
    return wrote;
  }
  const UniqueFd folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && ::fsync(folder.get()) != 0 && errno != EINVAL)
    return fail_errno(errno, fmt::format("cannot sync the folder of {}", path));
  return {};
}

Result<> make_folders(const std::string& path, mode_t mode) {
  for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return fail_errno(errno, fmt::format("cannot make {}", part));
    if (at == std::string::npos) break;
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, path);
  if (!S_ISDIR(info.st_mode)) return fail(Code::failed_precondition, fmt::format("{} is not a folder", path));
  return {};
}

}  // namespace omnitide
