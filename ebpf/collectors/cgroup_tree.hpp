// The hierarchy of cgroup v2: from an id, which is what programs see, to a path.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::collectors {

struct CgroupPlace {
  enum class Found : unsigned char { here, gone, not_yet /* ask again later */ } found = Found::gone;
  std::string path;  // "/system.slice/cron.service", "/" for the root
};

class CgroupTree {
 public:
  // `configured`: see ebpf::cgroup2_root(). `walk_interval`: at most so often the whole tree is walked, which is done
  // without CAP_DAC_READ_SEARCH.
  [[nodiscard]] static Result<CgroupTree> open(
      const std::string& configured, std::chrono::steady_clock::duration walk_interval = std::chrono::seconds(10));

  // gone: there is no such cgroup (any more), or it is outside of the part of the hierarchy that is mounted here. Ids
  // are used once in the life of the kernel (64 bits).
  [[nodiscard]] CgroupPlace find(std::uint64_t id);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& mount_point() const { return mount_point_; }

 private:
  [[nodiscard]] CgroupPlace by_handle(std::uint64_t id);
  [[nodiscard]] CgroupPlace by_walk(std::uint64_t id);
  void walk();

  std::string mount_point_;
  UniqueFd fd_;
  bool handles_ = true;  // open_by_handle_at() is allowed (CAP_DAC_READ_SEARCH)
  std::unordered_map<std::uint64_t, std::string> walked_;
  std::unordered_set<std::uint64_t> waiting_;  // asked for since the last walk, which did not know them
  std::unordered_set<std::uint64_t> gone_;     // were known or waited for, and the last walk did not find them
  std::chrono::steady_clock::duration walk_interval_{};
  std::chrono::steady_clock::time_point walked_at_{};
};

}  // namespace omnitide::collectors
