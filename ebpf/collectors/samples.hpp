// From what programs count to samples.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "agent/model/sample_batch.hpp"
#include "ebpf/collectors/cgroup_names.hpp"

namespace omnitide::collectors {

// The names of a metric's labels when it has a cgroup.
template <std::size_t More>
constexpr std::array<std::string_view, kCgroupLabels.size() + More> with_cgroup(
    const std::array<std::string_view, More>& more) {
  std::array<std::string_view, kCgroupLabels.size() + More> out;
  std::ranges::copy(kCgroupLabels, out.begin());
  std::ranges::copy(more, out.begin() + kCgroupLabels.size());
  return out;
}

// Label values of a sample that has a cgroup.
class CgroupValues {
 public:
  explicit CgroupValues(const CgroupLabels& cgroup) { std::ranges::copy(cgroup.values(), values_.begin()); }
  [[nodiscard]] std::span<const std::string_view> with(std::initializer_list<std::string_view> more = {}) {
    std::ranges::copy(more, values_.begin() + kCgroupLabels.size());
    return {values_.data(), kCgroupLabels.size() + more.size()};
  }

 private:
  std::array<std::string_view, kCgroupLabels.size() + 2> values_{};
};

// Buckets of ebpf/abi/collect.h as bounds: 2^(first + i) * unit.
struct Scale {
  unsigned first = 0;
  double unit = 1;
};
constexpr double kNanosecond = 1e-9, kMicrosecond = 1e-6, kByte = 1;

// A histogram of `buckets`, the last of which has no bound, and of their sum in counted units.
class Histogram {
 public:
  Histogram(std::span<const unsigned long long> buckets, std::uint64_t sum, Scale scale);
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  // Valid as long as this.
  [[nodiscard]] model::Distribution distribution() const;

 private:
  std::array<model::Distribution::Point, 32> points_;
  std::size_t size_ = 0;
  double sum_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace omnitide::collectors
