// Lets a test end enforcement between any two of its steps in the kernel, as kill -9 would: once the count is used up,
// nothing more is written, attached, pinned or undone.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>

#include "agent/base/error.hpp"

namespace omnitide::enforcement {

class Faults {
 public:
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

  void die_after(std::size_t steps) { left_ = steps; }
  [[nodiscard]] bool dead() const { return dead_; }
  // How many of `wanted` steps may still be made; they count as made.
  [[nodiscard]] std::size_t take(std::size_t wanted) {
    if (left_ == kNever) return wanted;
    const std::size_t given = std::min(wanted, left_);
    left_ -= given;
    dead_ = dead_ || given < wanted;
    return given;
  }
  [[nodiscard]] Result<> step() {
    if (take(1) == 1) return {};
    return fail(Code::aborted, "enforcement was ended by a test");
  }

 private:
  std::size_t left_ = kNever;
  bool dead_ = false;
};

}  // namespace omnitide::enforcement
