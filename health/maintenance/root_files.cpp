#include "health/maintenance/root_files.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

namespace omnitide::health {

namespace {

Result<> check(const std::string& path) {
  struct stat is {};
  if (::lstat(path.c_str(), &is) != 0) return fail_errno(errno, "cannot look at " + path);
  const bool plain = S_ISREG(is.st_mode) || S_ISDIR(is.st_mode);
  if (plain && is.st_uid == 0 && (is.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return fail(Code::permission_denied, fmt::format("{} is a link, is not root's, or others may write to it", path))
      .with_hint("what is done as root is configured by files that only root can write");
}

}  // namespace

Result<> only_by_root(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (Result<> good = check(path); good.has_error()) return good;
    const std::size_t slash = path.rfind('/');
    if (slash == 0 || slash == std::string::npos) continue;
    if (Result<> good = check(path.substr(0, slash)); good.has_error()) return good;
  }
  return {};
}

}  // namespace omnitide::health
