#include "health/checks/readings.hpp"

#include <utility>

namespace omnitide::health {

void Readings::each(std::string_view family, const std::function<void(const model::SampleView&)>& take) const {
  for (const model::SampleBatch* batch : batches_)
    for (const model::SampleView& sample : batch->views())
      if (sample.descriptor->name == family) take(sample);
}

std::optional<double> Readings::value(std::string_view family) const {
  std::optional<double> out;
  each(family, [&out](const model::SampleView& sample) {
    if (!out) out = sample.value;
  });
  return out;
}

std::optional<double> Readings::value(std::string_view family, std::string_view name, std::string_view wanted) const {
  std::optional<double> out;
  each(family, [&](const model::SampleView& sample) {
    if (!out && label(sample, name) == wanted) out = sample.value;
  });
  return out;
}

std::string_view label(const model::SampleView& sample, std::string_view name) {
  for (std::size_t i = 0; i < sample.labels.size(); ++i)
    if (sample.descriptor->labels[i] == name) return sample.labels[i];
  return {};
}

std::optional<double> Rates::rate(const std::string& name, double total, SteadyTime now) {
  const auto found = last_.find(name);
  if (found == last_.end()) {
    if (last_.size() < kMost) last_.emplace(name, Last{total, now});
    return std::nullopt;
  }
  const Last before = std::exchange(found->second, Last{total, now});
  const double seconds = std::chrono::duration<double>(now - before.time).count();
  if (seconds <= 0 || total < before.total) return std::nullopt;
  return (total - before.total) / seconds;
}

void Rates::forget_older(SteadyTime than) {
  std::erase_if(last_, [than](const auto& each) { return each.second.time < than; });
}

}  // namespace omnitide::health
