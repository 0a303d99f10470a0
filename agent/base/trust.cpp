#include "agent/base/trust.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <deque>

#include "agent/base/text.hpp"

namespace omnitide {

namespace {

constexpr int kMostLinks = 40;  // as the kernel's own bound, MAXSYMLINKS

Result<std::string> link_target(const std::string& path) {
  std::array<char, PATH_MAX> target{};
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return fail_errno(errno, "cannot read " + printable(path));
  return std::string(target.data(), static_cast<std::size_t>(length));
}

Result<> judge(const std::string& path, const struct stat& info) {
  const std::string name = printable(path);
  if (info.st_uid != 0)
    return fail(Code::permission_denied, fmt::format("{} belongs to user {}, not to root", name, info.st_uid))
        .with_hint("chown root " + name);
  const bool writable = !S_ISLNK(info.st_mode) && (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  const bool sticky = S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX) != 0;
  if (writable && !sticky)
    return fail(Code::permission_denied, name + " may be written by others than root").with_hint("chmod go-w " + name);
  return {};
}

void put_first(std::deque<std::string>& left, std::string_view path) {
  std::size_t at = 0;
  for (const std::string_view part : split(path, '/'))
    if (!part.empty()) left.insert(left.begin() + static_cast<std::ptrdiff_t>(at++), std::string(part));
}

}  // namespace

Result<> only_root_writes(const std::string& path) {
  if (!path.starts_with('/')) return fail(Code::invalid_argument, printable(path) + " is not an absolute path");
  std::deque<std::string> left;
  put_first(left, path);
  std::string at;  // what is known to be good; empty: the root folder
  struct stat info {};
  if (::lstat("/", &info) != 0) return fail_errno(errno, "cannot look at /");
  if (Result<> good = judge("/", info); good.has_error()) return good;
  int links = 0;
  while (!left.empty()) {
    const std::string part = std::move(left.front());
    left.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      at.erase(at.find_last_of('/') == std::string::npos ? 0 : at.find_last_of('/'));
      continue;
    }
    const std::string next = at + "/" + part;
    if (::lstat(next.c_str(), &info) != 0) return fail_errno(errno, "cannot look at " + printable(next));
    if (Result<> good = judge(next, info); good.has_error()) return good;
    if (!S_ISLNK(info.st_mode)) {
      at = next;
      continue;
    }
    if (++links > kMostLinks) return fail(Code::invalid_argument, printable(path) + " has too many symbolic links");
    const Result<std::string> target = link_target(next);
    if (target.has_error()) return target.error();
    if (target->starts_with('/')) at.clear();
    put_first(left, *target);
  }
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, printable(path) + " is not a regular file");
  return {};
}

}  // namespace omnitide
