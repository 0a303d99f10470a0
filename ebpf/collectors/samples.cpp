#include "ebpf/collectors/samples.hpp"

#include <cmath>

namespace omnitide::collectors {

Histogram::Histogram(std::span<const unsigned long long> buckets, std::uint64_t sum, Scale scale)
    : sum_(static_cast<double>(sum) * scale.unit) {
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    count_ += buckets[i];
    if (i + 1 == buckets.size() || size_ == points_.size()) continue;
    const double bound = std::ldexp(scale.unit, static_cast<int>(scale.first + i));
    points_[size_++] = {bound, static_cast<double>(count_)};
  }
}

model::Distribution Histogram::distribution() const {
  return {std::span(points_).first(size_), sum_, static_cast<double>(count_)};
}

}  // namespace omnitide::collectors
