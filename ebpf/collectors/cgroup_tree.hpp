// The hierarchy of cgroup v2: from an id, which is what programs see, to a path.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::collectors {

struct CgroupPlace {
  enum class Found : unsigned char { here, gone, not_yet /* ask again later */ } found = Found::gone;
  std::string path;  // "/system.slice/cron.service", "/" for the root
};

class CgroupTree {
 public:
  // `mount_point`: of cgroup v2. Empty: found among the mounts.
  [[nodiscard]] static Result<CgroupTree> open(std::string mount_point);

  // gone: there is no such cgroup (any more), or it is outside of the part of the hierarchy that is mounted here. Ids
  // are used once in the life of the kernel (64 bits).
  [[nodiscard]] CgroupPlace find(std::uint64_t id);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& mount_point() const { return mount_point_; }

 private:
  [[nodiscard]] CgroupPlace by_handle(std::uint64_t id);
  [[nodiscard]] CgroupPlace by_walk(std::uint64_t id);

  std::string mount_point_;
  UniqueFd fd_;
  bool handles_ = true;  // open_by_handle_at() is allowed (CAP_DAC_READ_SEARCH)
  std::unordered_map<std::uint64_t, std::string> walked_;
  std::chrono::steady_clock::time_point walked_at_{};
};

}  // namespace omnitide::collectors
