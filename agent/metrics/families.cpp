#include "agent/metrics/families.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>

#include "agent/metrics/series.hpp"

namespace omnitide::metrics {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleView;

constexpr std::uint32_t kNone = UINT32_MAX;

struct Described {
  const MetricDescriptor* descriptor = nullptr;
  std::uint32_t samples = 0;
  std::uint32_t family = kNone;  // kNone: refused
};

// Descriptors in the order of their first samples, found by address.
class Index {
 public:
  Index() : slots_(kSmallest, kNone) {}

  std::uint32_t of(const MetricDescriptor* descriptor) {
    if (last_ != kNone && all[last_].descriptor == descriptor) return last_;
    for (std::size_t at = place(descriptor);; at = (at + 1) & (slots_.size() - 1)) {
      if (slots_[at] == kNone) return last_ = add(descriptor, at);
      if (all[slots_[at]].descriptor == descriptor) return last_ = slots_[at];
    }
  }

  std::vector<Described> all;

 private:
  static constexpr std::size_t kSmallest = 1024;

  [[nodiscard]] std::size_t place(const MetricDescriptor* descriptor) const {
    constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15ULL;
    const std::uint64_t product = reinterpret_cast<std::uintptr_t>(descriptor) * kFactor;
    return static_cast<std::size_t>(product >> 32U) & (slots_.size() - 1);
  }
  std::uint32_t add(const MetricDescriptor* descriptor, std::size_t at) {
    const auto index = static_cast<std::uint32_t>(all.size());
    all.push_back({descriptor, 0, kNone});
    slots_[at] = index;
    if (all.size() * 2 > slots_.size()) grow();
    return index;
  }
  void grow() {
    slots_.assign(slots_.size() * 2, kNone);
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      std::size_t at = place(all[i].descriptor);
      while (slots_[at] != kNone)
        at = (at + 1) & (slots_.size() - 1);
      slots_[at] = i;
    }
  }

  std::vector<std::uint32_t> slots_;
  std::uint32_t last_ = kNone;
};

bool distributed(const MetricDescriptor& descriptor) {
  return descriptor.type == MetricType::histogram || descriptor.type == MetricType::summary;
}

// Names that the samples of histograms and summaries have: no family of its own may be called so.
std::vector<std::string> names_of_parts(const std::vector<Described>& described) {
  std::vector<std::string> out;
  for (const Described& one : described) {
    if (!distributed(*one.descriptor)) continue;
    for (const char* suffix : {"_bucket", "_count", "_sum"})
      out.push_back(std::string(one.descriptor->name) + suffix);
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Gives every descriptor its family, and the families their descriptors and room for their samples, by name.
void form_families(std::vector<Described>& described, Families& out) {
  std::vector<std::uint32_t> order(described.size());
  for (std::uint32_t i = 0; i < order.size(); ++i)
    order[i] = i;
  std::sort(order.begin(), order.end(), [&described](std::uint32_t a, std::uint32_t b) {
    const int compared = described[a].descriptor->name.compare(described[b].descriptor->name);
    return compared != 0 ? compared < 0 : a < b;
  });
  const std::vector<std::string> parts = names_of_parts(described);
  std::vector<std::size_t> sizes;
  std::size_t total = 0;
  for (const std::uint32_t i : order) {
    Described& one = described[i];
    const std::string_view name = one.descriptor->name;
    const bool taken = !parts.empty() && std::binary_search(parts.begin(), parts.end(), name, std::less<>());
    const bool joins = !out.families.empty() && out.families.back().descriptor->name == name;
    const bool fits =
        !taken && is_valid(*one.descriptor) && (!joins || out.families.back().descriptor->type == one.descriptor->type);
    if (!fits) {
      out.refused += one.samples;
      continue;
    }
    if (!joins) {
      out.families.push_back({one.descriptor, {}});
      sizes.push_back(0);
    }
    one.family = static_cast<std::uint32_t>(out.families.size() - 1);
    sizes.back() += one.samples;
    total += one.samples;
  }
  out.samples.resize(total);
  const SampleView** begin = out.samples.data();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    out.families[i].samples = {begin, sizes[i]};
    begin += sizes[i];
  }
}

// Takes out what is there already or has no valid shape.
void sift(Family& family, const SampleView** samples, std::size_t count, SeriesSet& seen, Families& out) {
  const bool several = count > 1;
  if (several) seen.start(count);
  std::size_t kept = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_valid(*samples[i]) || (several && !seen.insert(*samples[i]))) {
      ++out.refused;
      continue;
    }
    samples[kept++] = samples[i];
  }
  family.samples = {samples, kept};
}

}  // namespace

Families group(std::span<const model::SampleBatch* const> batches) {
  Families out;
  Index index;
  std::vector<std::uint32_t> kinds;  // of each sample, in order
  for (const model::SampleBatch* batch : batches) {
    out.refused += batch->refused();
    for (const SampleView& sample : batch->views()) {
      kinds.push_back(index.of(sample.descriptor));
      ++index.all[kinds.back()].samples;
    }
  }
  form_families(index.all, out);

  std::vector<const SampleView**> begins, ends;
  for (const Family& family : out.families)
    begins.push_back(out.samples.data() + (family.samples.data() - out.samples.data()));
  ends = begins;
  std::size_t at = 0;
  for (const model::SampleBatch* batch : batches) {
    for (const SampleView& sample : batch->views()) {
      const std::uint32_t family = index.all[kinds[at++]].family;
      if (family != kNone) *ends[family]++ = &sample;
    }
  }
  SeriesSet seen;
  for (std::size_t i = 0; i < out.families.size(); ++i)
    sift(out.families[i], begins[i], static_cast<std::size_t>(ends[i] - begins[i]), seen, out);
  std::erase_if(out.families, [](const Family& family) { return family.samples.empty(); });
  return out;
}

}  // namespace omnitide::metrics
