// A histogram of durations of fixed size: 32 steps an octave, so that a quantile is at most 3 % too large.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace omnitide::bench {

class Latencies {
 public:
  void add(std::chrono::nanoseconds taken) {
    const auto microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(taken.count() / 1000, 0));
    ++buckets_.at(std::min(bucket_of(microseconds), kBuckets - 1));
    ++count_;
    max_ = std::max(max_, taken);
  }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double max_milliseconds() const { return static_cast<double>(max_.count()) / 1e6; }
  // The upper edge of the step in which the quantile lies.
  [[nodiscard]] double milliseconds(double quantile) const {
    const auto rank = static_cast<std::uint64_t>(quantile * static_cast<double>(count_));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      below += buckets_.at(i);
      if (below > rank) return std::min(static_cast<double>(upper_edge(i)) / 1e3, max_milliseconds());
    }
    return max_milliseconds();
  }

 private:
  static constexpr std::size_t kSteps = 32, kBuckets = kSteps * 32;
  static std::size_t bucket_of(std::uint64_t value) {
    if (value < kSteps) return value;
    const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 6;  // value >> octave is in [32, 64)
    return (octave + 1) * kSteps + ((value >> octave) - kSteps);
  }
  static std::uint64_t upper_edge(std::size_t bucket) {
    if (bucket < kSteps) return bucket + 1;
    return (bucket % kSteps + kSteps + 1) << (bucket / kSteps - 1);
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::chrono::nanoseconds max_{};
};

}  // namespace omnitide::bench
