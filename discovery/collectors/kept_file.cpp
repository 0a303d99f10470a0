#include "discovery/collectors/kept_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "agent/base/text.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

int KeptFile::fill() {
  used_ = 0;
  if (buffer_.empty()) buffer_.resize(1024);  // of most; what is longer makes room once
  while (true) {
    const ssize_t got = ::pread(fd_.get(), buffer_.data() + used_, buffer_.size() - used_, static_cast<off_t>(used_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return 0;
    used_ += static_cast<std::size_t>(got);
    if (used_ > limit_) return EFBIG;
    if (used_ == buffer_.size()) buffer_.resize(std::min(buffer_.size() * 2, limit_ + 1));
  }
}

Result<std::string_view> KeptFile::read() {
  // A descriptor whose process, device or namespace has gone is opened anew, once.
  for (int attempt = 0;; ++attempt) {
    const bool opened_now = !fd_;
    if (!fd_) {
      Result<UniqueFd> opened = root_.open_at(path_, O_RDONLY);
      if (opened.has_error()) return std::move(opened).error();
      struct stat info {};
      if (::fstat(opened->get(), &info) != 0 || !S_ISREG(info.st_mode))
        return fail(Code::invalid_argument, fmt::format("{} is not a regular file", path_));
      fd_ = std::move(*opened);
    }
    const int problem = fill();
    if (problem == 0) return std::string_view(buffer_).substr(0, used_);
    fd_.reset();
    if (problem == EFBIG) {
      std::string().swap(buffer_);
      return fail(Code::resource_exhausted, fmt::format("{} is longer than {} bytes", path_, limit_));
    }
    if (opened_now || attempt > 0) return fail_errno(problem, fmt::format("cannot read {}", path_));
  }
}

Result<Folder> Folder::open(const Root& root, const std::string& path) {
  Result<UniqueFd> fd = root.open_at(path, O_PATH | O_DIRECTORY);
  if (fd.has_error()) return std::move(fd).error();
  Folder out;
  out.fd_ = std::move(*fd);
  return out;
}

std::optional<std::string_view> Folder::text(const char* name) {
  thread_local std::array<char, 4096> buffer;  // folders are many, and each is asked for a moment only
  const UniqueFd file(::openat(fd_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return std::nullopt;
  ssize_t got = -1;
  do
    got = ::read(file.get(), buffer.data(), buffer.size());
  while (got < 0 && errno == EINTR);
  if (got < 0) return std::nullopt;
  return trim(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
}

std::optional<double> Folder::number(const char* name) {
  const std::optional<std::string_view> said = text(name);
  return said ? value_of(*said) : std::nullopt;
}

std::string Folder::label(const char* name) {
  const std::optional<std::string_view> said = text(name);
  return said ? valid_utf8(*said) : std::string{};
}

}  // namespace omnitide::discovery
