// Exponential backoff with full jitter: each wait is uniform in [0, min(cap, base * 2^attempt)].
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace omnitide {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  Backoff(Duration base, Duration cap) : base_(base), cap_(cap) {}

  // `random` is any 64 random bits; the caller brings them, so that a test can.
  [[nodiscard]] Duration next(std::uint64_t random) {
    const Duration ceiling = std::min(cap_, base_ * (std::int64_t{1} << std::min(attempt_, 20U)));
    ++attempt_;
    return Duration{static_cast<std::int64_t>(random % static_cast<std::uint64_t>(ceiling.count() + 1))};
  }
  void reset() { attempt_ = 0; }
  [[nodiscard]] unsigned attempts() const { return attempt_; }

 private:
  Duration base_, cap_;
  unsigned attempt_ = 0;
};

}  // namespace omnitide
