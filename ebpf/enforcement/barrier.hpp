// Two things that publication needs of the kernel beside writing elements.
#pragma once

#include <cstdint>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"

namespace omnitide::enforcement {

// Waits until every program that runs has ended: an update of a map of maps does (maybe_wait_bpf_programs() in
// kernel/bpf/syscall.c, by synchronize_rcu()). Blocks, without using a CPU, for some 5 to 20 ms. membarrier() is no
// substitute: on one CPU it does nothing.
class Barrier {
 public:
  [[nodiscard]] static Result<Barrier> open();
  [[nodiscard]] Result<> wait();

 private:
  UniqueFd inner_, outer_;
};

// The element of the map `publication`, in memory shared with the programs: odd while elements are being replaced.
class Sequence {
 public:
  Sequence() = default;
  [[nodiscard]] static Result<Sequence> open(int map_fd);
  Sequence(Sequence&& other) noexcept;
  Sequence& operator=(Sequence&& other) noexcept;
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;
  ~Sequence();

  void begin();  // becomes odd, if it is not
  void end();    // becomes even

 private:
  std::uint32_t* value_ = nullptr;
};

}  // namespace omnitide::enforcement
