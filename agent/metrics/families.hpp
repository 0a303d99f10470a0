// Samples of several batches put together by family, and what a scraper would refuse taken out.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agent/model/sample_batch.hpp"

namespace omnitide::metrics {

struct Family {
  const model::MetricDescriptor* descriptor = nullptr;  // the first one of this name: its help, unit and type hold
  std::span<const model::SampleView* const> samples;    // as they came; never empty
};

// Families by name. Everything points into the batches.
struct Families {
  std::vector<const model::SampleView*> samples;
  std::vector<Family> families;
  // Samples left out, since a scraper would refuse the whole text for them: a name that is none or is one that another
  // family's samples have, another type than the family's first sample, a series that is there already (the first
  // stays), a histogram whose buckets fall, and what the batches themselves refused.
  std::size_t refused = 0;
};

[[nodiscard]] Families group(std::span<const model::SampleBatch* const> batches);

}  // namespace omnitide::metrics
