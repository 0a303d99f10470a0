#include "agent/telemetry/metric_selector.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "agent/base/glob.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::size_t kMostFamilies = 10'000;  // remembered; text files may name any

bool any_matches(const std::vector<std::string>& globs, std::string_view text) {
  return std::ranges::any_of(globs, [text](const std::string& glob) { return glob_matches(glob, text); });
}

// The part of a glob that the family has to match.
std::string_view family_part(std::string_view glob) { return glob.substr(0, glob.find('/')); }
bool has_labels(std::string_view glob) { return glob.find('/') != std::string_view::npos; }

std::string_view label_of(const model::SampleView& sample, std::string_view name) {
  for (std::size_t i = 0; i < sample.labels.size(); ++i)
    if (sample.descriptor->labels[i] == name) return sample.labels[i];
  return {};
}

bool adds_up(model::MetricType type) {
  return type == model::MetricType::counter || type == model::MetricType::histogram;
}

MetricValue number(double value) { return std::isfinite(value) ? MetricValue{value} : MetricValue{}; }

bool is_whole(double value) { return value >= 0 && value < 0x1p64 && value == std::floor(value); }

// Seconds have fractions even when the first value has none.
bool counts_time(const model::MetricDescriptor& descriptor) {
  return descriptor.unit == "seconds" || descriptor.name.find("seconds") != std::string_view::npos;
}

}  // namespace

MetricSelector::MetricSelector(MetricSelection selection) : selection_(std::move(selection)) {}

bool MetricSelector::leaves_out(std::string_view device) const {
  return device.size() > kLongestDevice || any_matches(selection_.no_device, device);
}

MetricSelector::Family& MetricSelector::family_of(const model::MetricDescriptor& descriptor) {
  scratch_ = descriptor.name;
  if (const auto known = families_.find(scratch_); known != families_.end()) return known->second;
  if (families_.size() >= kMostFamilies) families_.clear();
  Family out;
  const auto may_match = [&descriptor](const std::string& glob) {
    return glob_matches(family_part(glob), descriptor.name);
  };
  const auto whole = [&may_match](const std::string& glob) { return !has_labels(glob) && may_match(glob); };
  const auto by_labels = [&may_match](const std::string& glob) { return has_labels(glob) && may_match(glob); };
  out.never = std::ranges::none_of(selection_.include, may_match) || std::ranges::any_of(selection_.exclude, whole);
  out.by_name = std::ranges::none_of(selection_.include, whole) || std::ranges::any_of(selection_.exclude, by_labels);
  out.fractional = counts_time(descriptor);
  for (const MetricSelection::Sum& sum : selection_.sums)
    if (glob_matches(sum.family, descriptor.name)) out.sums.push_back(sum.label);
  for (const MetricSelection::Device& device : selection_.devices) {
    if (out.device == nullptr && glob_matches(device.family, descriptor.name) &&
        std::ranges::find(descriptor.labels, device.label) != descriptor.labels.end())
      out.device = &device;
  }
  return families_.emplace(scratch_, std::move(out)).first->second;
}

bool MetricSelector::wanted(const Family& family, const model::SampleView& sample) {
  if (family.never) return false;
  if (!family.by_name) return true;
  labels_.clear();
  for (std::size_t i = 0; i < sample.labels.size(); ++i)
    labels_.emplace_back(sample.descriptor->labels[i], sample.labels[i]);
  name_.clear();
  append_metric_name(name_, sample.descriptor->name, labels_);
  const auto matches = [this, &sample](const std::string& glob) {
    return glob_matches(glob, has_labels(glob) ? std::string_view(name_) : sample.descriptor->name);
  };
  return std::ranges::any_of(selection_.include, matches) && std::ranges::none_of(selection_.exclude, matches);
}

bool MetricSelector::name_of(const Family& family, const model::SampleView& sample) {
  if (!wanted(family, sample)) return false;
  device_.clear();
  if (family.device != nullptr) {
    const std::string_view value = label_of(sample, family.device->label);
    if (value.empty()) return false;
    device_ = family.device->kind;
    device_ += ':';
    append_escaped(device_, value);
    if (leaves_out(device_)) return false;
  }
  labels_.clear();
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    const std::string_view label = sample.descriptor->labels[i];
    if (family.device != nullptr && label == family.device->label) continue;
    if (std::ranges::find(family.sums, label) != family.sums.end()) {
      if (!adds_up(sample.descriptor->type)) return false;
      continue;
    }
    labels_.emplace_back(label, sample.labels[i]);
  }
  name_.clear();
  append_metric_name(name_, sample.descriptor->name, labels_);
  return name_.size() <= kLongestName;
}

bool MetricSelector::takes(const model::SampleView& sample) { return name_of(family_of(*sample.descriptor), sample); }

void MetricSelector::add_row(const model::SampleView& sample) {
  Family& family = family_of(*sample.descriptor);
  if (!name_of(family, sample)) return;
  scratch_ = device_;
  scratch_ += '\n';  // in no id
  scratch_ += name_;
  const auto [at, fresh] = row_by_key_.emplace(scratch_, rows_.size());
  if (fresh) {
    rows_.push_back({&sample, device_, name_, sample.value, {}});
    if (sample.distribution != nullptr) rows_.back().distribution.add(*sample.distribution);
    return;
  }
  if (family.sums.empty()) return;  // a series twice: the first counts
  Row& row = rows_[at->second];
  row.value += sample.value;
  if (sample.distribution != nullptr) row.distribution.add(*sample.distribution);
}

void MetricSelector::emit_distribution(const Row& row, std::vector<NamedMetric>& out) {
  const std::string_view unit = row.first->descriptor->unit;
  const auto put = [&](std::string_view suffix, DataType type, MetricValue value, std::string_view of) {
    out.push_back({row.device, row.name + std::string(suffix), type, std::move(value), std::string(of)});
  };
  const double count = row.distribution.count;
  put("/count", DataType::uint64, is_whole(count) ? MetricValue{static_cast<std::uint64_t>(count)} : MetricValue{}, {});
  put("/sum", DataType::double_, number(row.distribution.sum), unit);
  const std::string key = row.device + '\n' + row.name;
  const auto before = last_.find(key);
  const OwnDistribution recent =
      before == last_.end() ? row.distribution : row.distribution.since(before->second).value_or(row.distribution);
  for (const auto& [suffix, q] : {std::pair{"/p50", 0.5}, std::pair{"/p99", 0.99}}) {
    const std::optional<double> value = quantile(recent, q);
    put(suffix, DataType::double_, value ? number(*value) : MetricValue{}, unit);
  }
  next_last_.emplace(key, row.distribution);
}

void MetricSelector::emit_summary(const Row& row, std::vector<NamedMetric>& out) {
  const std::string unit(row.first->descriptor->unit);
  for (const model::Distribution::Point& point : row.first->distribution->points) {
    out.push_back(
        {row.device, fmt::format("{}/p{:g}", row.name, point.at * 100), DataType::double_, number(point.value), unit});
  }
  out.push_back({row.device, row.name + "/sum", DataType::double_, number(row.first->distribution->sum), unit});
  out.push_back({row.device, row.name + "/count", DataType::double_, number(row.first->distribution->count), ""});
}

void MetricSelector::emit(const Row& row, std::vector<NamedMetric>& out) {
  const model::MetricDescriptor& descriptor = *row.first->descriptor;
  if (row.first->distribution != nullptr) {
    if (descriptor.type == model::MetricType::summary)
      emit_summary(row, out);
    else
      emit_distribution(row, out);
    return;
  }
  NamedMetric metric{row.device, row.name, DataType::double_, number(row.value), std::string(descriptor.unit)};
  if (descriptor.type == model::MetricType::counter) {
    Family& family = family_of(descriptor);
    family.fractional = family.fractional || (std::isfinite(row.value) && !is_whole(row.value));
    if (!family.fractional) {
      metric.type = DataType::uint64;
      if (is_whole(row.value)) metric.value = static_cast<std::uint64_t>(row.value);
    }
  }
  out.push_back(std::move(metric));
}

std::vector<NamedMetric> MetricSelector::select(std::span<const model::SampleBatch* const> batches) {
  rows_.clear();
  row_by_key_.clear();
  next_last_.clear();
  beyond_ = 0;
  for (const model::SampleBatch* batch : batches)
    for (const model::SampleView& sample : batch->views())
      add_row(sample);
  std::vector<NamedMetric> out;
  out.reserve(rows_.size());
  for (const Row& row : rows_)
    emit(row, out);
  if (out.size() > selection_.most) {
    beyond_ = out.size() - selection_.most;
    out.resize(selection_.most);
  }
  last_.swap(next_last_);
  return out;
}

}  // namespace omnitide::telemetry
