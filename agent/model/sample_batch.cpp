#include "agent/model/sample_batch.hpp"

#include <algorithm>

#include "agent/base/text.hpp"

namespace omnitide::model {

// Repaired here and not by each rendering, so that whoever compares two series sees what a reader will.
std::string_view SampleBatch::keep(std::string_view text) {
  return is_ascii(text) ? arena_.copy(text) : arena_.copy(valid_utf8(text));
}

std::span<const std::string_view> SampleBatch::keep(std::span<const std::string_view> labels) {
  const std::span<std::string_view> kept = arena_.copy(labels);
  for (std::string_view& label : kept)
    label = keep(label);
  return kept;
}

void SampleBatch::add(const MetricDescriptor& descriptor, double value, std::span<const std::string_view> labels) {
  if (labels.size() != descriptor.labels.size()) {
    ++refused_;
    return;
  }
  rows_.push_back({&descriptor, keep(labels), value, nullptr});
}

void SampleBatch::add(const MetricDescriptor& descriptor, const Distribution& distribution,
                      std::span<const std::string_view> labels) {
  if (labels.size() != descriptor.labels.size()) {
    ++refused_;
    return;
  }
  Distribution kept = distribution;
  kept.points = arena_.copy(distribution.points);
  rows_.push_back({&descriptor, keep(labels), 0, arena_.copy(std::span<const Distribution>(&kept, 1)).data()});
}

const MetricDescriptor& SampleBatch::describe(const MetricDescriptor& texts) {
  const auto same = [&texts](const Described& known) {
    return known.descriptor.name == texts.name && known.descriptor.type == texts.type &&
           std::ranges::equal(known.labels, texts.labels);
  };
  // From the newest: the fields of one file come in order, and callers ask for the same one again at once.
  const auto known = std::find_if(described_.rbegin(), described_.rend(), same);
  if (known != described_.rend()) return known->descriptor;
  Described& added = described_.emplace_back();
  for (const std::string_view label : texts.labels)
    added.labels.push_back(keep(label));
  added.descriptor = {keep(texts.name), keep(texts.unit), keep(texts.help), texts.type, added.labels};
  return added.descriptor;
}

std::size_t SampleBatch::memory() const {
  return arena_.memory() + rows_.capacity() * sizeof(SampleView) + described_.size() * sizeof(Described);
}

void SampleBatch::clear() {
  rows_.clear();
  described_.clear();
  arena_.clear();
  refused_ = 0;
}

}  // namespace omnitide::model
