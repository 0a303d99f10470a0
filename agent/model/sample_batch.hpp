// Many measured values of one collection, held in a few blocks of memory. A collector fills one; Prometheus text,
// Sparkplug payloads and tables are renderings of it.
#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "agent/base/arena.hpp"
#include "agent/model/sample.hpp"

namespace omnitide::model {

// The values of a histogram or a summary.
struct Distribution {
  struct Point {
    double at = 0;     // histogram: upper bound, inclusive; summary: quantile, 0 to 1
    double value = 0;  // histogram: observations at or below the bound (cumulative); summary: value of the quantile
  };
  std::span<const Point> points;  // by rising `at`; the bucket of +Inf is `count` and is not among them
  double sum = 0;                 // in the unit of the metric
  double count = 0;
};

// One value as a reader sees it. Everything it points to belongs to the batch.
struct SampleView {
  const MetricDescriptor* descriptor = nullptr;  // never null
  std::span<const std::string_view> labels;      // values, one for each of descriptor->labels
  double value = 0;                              // of a gauge, counter or unknown
  const Distribution* distribution = nullptr;    // of a histogram or summary, else null
};

// Appended to by one thread, then read by any. clear() keeps the memory for the next collection. Not bounded by
// itself: the collector bounds what it reads. Its texts are valid UTF-8: a byte that is none becomes U+FFFD.
class SampleBatch {
 public:
  SampleBatch() = default;
  SampleBatch(SampleBatch&&) noexcept = default;
  SampleBatch& operator=(SampleBatch&&) noexcept = default;
  SampleBatch(const SampleBatch&) = delete;
  SampleBatch& operator=(const SampleBatch&) = delete;

  // `descriptor` outlives the batch (static storage, or describe() of this batch); `labels` are copied and must be as
  // many as the descriptor names: a sample with another number is counted in refused() and left out.
  void add(const MetricDescriptor& descriptor, double value, std::initializer_list<std::string_view> labels = {}) {
    add(descriptor, value, std::span(labels.begin(), labels.size()));
  }
  void add(const MetricDescriptor& descriptor, double value, std::span<const std::string_view> labels);
  // `points` are copied.
  void add(const MetricDescriptor& descriptor, const Distribution& distribution,
           std::span<const std::string_view> labels);

  // A descriptor whose texts are known only at run time (fields of /proc/meminfo, text files), owned by this batch. The
  // same name, type and labels give the same descriptor again.
  [[nodiscard]] const MetricDescriptor& describe(const MetricDescriptor& texts);

  [[nodiscard]] std::span<const SampleView> views() const { return rows_; }
  [[nodiscard]] std::size_t size() const { return rows_.size(); }
  [[nodiscard]] bool empty() const { return rows_.empty(); }
  [[nodiscard]] std::size_t refused() const { return refused_; }
  [[nodiscard]] std::size_t memory() const;  // bytes held
  void clear();
  // Takes back what was added since size() was `size`; the memory of its texts is free with the next clear().
  void shrink(std::size_t size) {
    if (size < rows_.size()) rows_.resize(size);
  }

 private:
  struct Described {
    MetricDescriptor descriptor;
    std::vector<std::string_view> labels;
  };
  [[nodiscard]] std::string_view keep(std::string_view text);
  [[nodiscard]] std::span<const std::string_view> keep(std::span<const std::string_view> labels);

  Arena arena_;
  std::vector<SampleView> rows_;
  std::deque<Described> described_;  // stays in place
  std::size_t refused_ = 0;
};

}  // namespace omnitide::model
