// Hears of mounts that come, go and change. Kernel: fs/proc_namespace.c, mounts_poll.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::discovery {

class MountMonitor {
 public:
  // The mount namespace of the calling process; another file in tests.
  [[nodiscard]] static Result<MountMonitor> open(const std::string& path = "/proc/self/mountinfo");
  // Wait for POLLPRI or POLLERR (never POLLIN: it always holds), then drain.
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Whether the table differs from what it was at the last call. The kernel forgets its signal once any poll has seen
  // it, so this compares a digest of the table; one of more than 4 MiB counts as changed.
  [[nodiscard]] Result<bool> drain();

 private:
  MountMonitor() = default;
  UniqueFd fd_;
  std::uint64_t digest_ = 0;
};

}  // namespace omnitide::discovery
