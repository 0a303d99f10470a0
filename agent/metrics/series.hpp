// Which samples a scraper would take: names and shapes of single ones, and series that are there twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "agent/model/sample_batch.hpp"

namespace omnitide::metrics {

// Names as https://prometheus.io/docs/concepts/data_model/ has them; label names that the format or the scraper takes
// for itself ("__name__", "le" of a histogram, "quantile" of a summary) and names twice are none.
[[nodiscard]] bool is_valid(const model::MetricDescriptor& descriptor);

// Whether the sample has what its type needs, and a distribution is one: bounds rise, and so do the counts of a
// histogram.
[[nodiscard]] bool is_valid(const model::SampleView& sample);

// The series of one family after another. Costs a hash of the label values a sample and no allocation once it has grown
// to the largest family.
class SeriesSet {
 public:
  void start(std::size_t samples);  // of a family with at most so many
  // False: a series with these labels is there. A label without a value is the same as no label.
  [[nodiscard]] bool insert(const model::SampleView& sample);

 private:
  struct Slot {
    std::uint64_t hash = 0;
    const model::SampleView* sample = nullptr;
  };
  std::vector<Slot> slots_;  // open addressing, at most half full; the first mask_ + 1 are in use
  std::size_t mask_ = 0;
};

}  // namespace omnitide::metrics
