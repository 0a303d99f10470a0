#include "discovery/sources/mount_monitor.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>

namespace omnitide::discovery {

namespace {

constexpr std::uint64_t kFnvOffset = 14695981039346656037ULL, kFnvPrime = 1099511628211ULL;
constexpr std::size_t kMaxMountBytes = 4U << 20U;

}  // namespace

Result<MountMonitor> MountMonitor::open(const std::string& path) {
  MountMonitor out;
  out.fd_.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!out.fd_) return fail_errno(errno, fmt::format("cannot watch {}", path));
  const Result<bool> first = out.drain();
  if (first.has_error()) return first.error();
  return out;
}

Result<bool> MountMonitor::drain() {
  if (::lseek(fd_.get(), 0, SEEK_SET) < 0) return fail_errno(errno, "cannot rewind the mount table");
  std::uint64_t digest = kFnvOffset;
  std::size_t total = 0;
  std::array<char, 16384> chunk{};
  while (total <= kMaxMountBytes) {
    const ssize_t got = ::read(fd_.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "cannot read the mount table");
    if (got == 0) break;
    total += static_cast<std::size_t>(got);
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i)
      digest = (digest ^ static_cast<unsigned char>(chunk[i])) * kFnvPrime;
  }
  const bool changed = digest != digest_ || total > kMaxMountBytes;
  digest_ = digest;
  return changed;
}

}  // namespace omnitide::discovery
