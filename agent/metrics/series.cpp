#include "agent/metrics/series.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "agent/base/random.hpp"

namespace omnitide::metrics {

namespace {

using model::MetricType;

bool is_name(std::string_view name, bool colon) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [colon](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colon && c == ':');
  });
}

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

// Labels come from devices and pods: with a seed of this process nobody can choose ones that fall together.
std::uint64_t seed() {
  static const std::uint64_t value = random_u64() | 1U;
  return value;
}

std::uint64_t hash(std::string_view text, std::uint64_t state) {
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15ULL;
  state ^= text.size();
  while (text.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    state = mix(state ^ word, kFactor);
    text.remove_prefix(8);
  }
  std::uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  return mix(state ^ rest, kFactor);
}

// The order of the labels does not count: a sum over names and values.
std::uint64_t hash_of(const model::SampleView& sample) {
  const std::uint64_t key = seed();
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    if (sample.labels[i].empty()) continue;
    out += hash(sample.labels[i], hash(sample.descriptor->labels[i], key));
  }
  return out;
}

std::string_view value_of(const model::SampleView& sample, std::string_view label) {
  const auto names = sample.descriptor->labels;
  const auto found = std::find(names.begin(), names.end(), label);
  return found == names.end() ? std::string_view() : sample.labels[static_cast<std::size_t>(found - names.begin())];
}

bool covers(const model::SampleView& all, const model::SampleView& some) {
  for (std::size_t i = 0; i < some.labels.size(); ++i) {
    if (!some.labels[i].empty() && value_of(all, some.descriptor->labels[i]) != some.labels[i]) return false;
  }
  return true;
}

bool same_series(const model::SampleView& a, const model::SampleView& b) {
  if (a.descriptor == b.descriptor) return std::ranges::equal(a.labels, b.labels);
  return covers(a, b) && covers(b, a);
}

}  // namespace

bool is_valid(const model::MetricDescriptor& descriptor) {
  if (!is_name(descriptor.name, true)) return false;
  const std::string_view own = descriptor.type == MetricType::histogram ? "le"
                               : descriptor.type == MetricType::summary ? "quantile"
                                                                        : "__name__";
  for (auto label = descriptor.labels.begin(); label != descriptor.labels.end(); ++label) {
    if (!is_name(*label, false) || *label == own || *label == "__name__") return false;
    if (std::find(descriptor.labels.begin(), label, *label) != label) return false;
  }
  return true;
}

bool is_valid(const model::SampleView& sample) {
  const MetricType type = sample.descriptor->type;
  const bool distributed = type == MetricType::histogram || type == MetricType::summary;
  if (distributed != (sample.distribution != nullptr)) return false;
  if (!distributed) return true;
  if (!(sample.distribution->count >= 0)) return false;
  const auto points = sample.distribution->points;
  const bool counts = type == MetricType::histogram;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!std::isfinite(points[i].at)) return false;
    if (i > 0 && !(points[i].at > points[i - 1].at)) return false;
    if (counts && i > 0 && !(points[i].value >= points[i - 1].value)) return false;
  }
  if (points.empty()) return true;
  return counts ? points.front().value >= 0 && points.back().value <= sample.distribution->count
                : points.front().at >= 0 && points.back().at <= 1;
}

void SeriesSet::start(std::size_t samples) {
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(samples * 2, 8));
  if (slots_.size() < size) slots_.resize(size);
  std::fill_n(slots_.begin(), size, Slot{});
  mask_ = size - 1;
}

bool SeriesSet::insert(const model::SampleView& sample) {
  const std::uint64_t hash = hash_of(sample);
  for (std::size_t at = hash & mask_;; at = (at + 1) & mask_) {
    Slot& slot = slots_[at];
    if (slot.sample == nullptr) {
      slot = {hash, &sample};
      return true;
    }
    if (slot.hash == hash && same_series(*slot.sample, sample)) return false;
  }
}

}  // namespace omnitide::metrics
