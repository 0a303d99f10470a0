// So many a second, and no more than a tenth of a second's at once.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "agent/base/clock.hpp"

namespace omnitide {

class TokenBucket {
 public:
  explicit TokenBucket(std::uint32_t per_second) : rate_(per_second) {}  // 0: without bound

  // Up to `most`, as many as there are.
  [[nodiscard]] std::size_t available(std::size_t most, SteadyTime now) {
    if (rate_ == 0) return most;
    const double burst = std::max(1.0, rate_ / 10);
    if (filled_ == SteadyTime{}) tokens_ = burst;
    if (filled_ != SteadyTime{} && now > filled_)
      tokens_ = std::min(burst, tokens_ + rate_ * std::chrono::duration<double>(now - filled_).count());
    filled_ = now;
    return std::min(most, static_cast<std::size_t>(tokens_));
  }
  void take(std::size_t count) {
    if (rate_ > 0) tokens_ -= static_cast<double>(count);
  }

 private:
  double rate_, tokens_ = 0;
  SteadyTime filled_{};
};

}  // namespace omnitide
