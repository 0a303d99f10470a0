#include "agent/daemon/metrics_report.hpp"

#include "agent/metrics/families.hpp"
#include "agent/model/metric_type.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

namespace {

void fill(const model::SampleView& sample, v1::MetricValue& out) {
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    if (!sample.labels[i].empty())
      (*out.mutable_labels())[std::string(sample.descriptor->labels[i])] = sample.labels[i];
  }
  out.set_value(sample.value);
  if (sample.distribution == nullptr) return;
  for (const model::Distribution::Point& point : sample.distribution->points) {
    v1::MetricPoint& added = *out.add_points();
    added.set_at(point.at);
    added.set_value(point.value);
  }
  out.set_sum(sample.distribution->sum);
  out.set_count(sample.distribution->count);
}

}  // namespace

std::size_t each_family(std::span<const model::SampleBatch* const> batches, MetricDetail detail,
                        const std::function<bool(const model::SampleView&)>& wanted,
                        const std::function<void(v1::MetricFamily&)>& take) {
  const metrics::Families all = metrics::group(batches);
  v1::MetricFamily out;
  for (const metrics::Family& family : all.families) {
    out.Clear();
    for (const model::SampleView* sample : family.samples)
      if (!wanted || wanted(*sample)) fill(*sample, *out.add_values());
    if (out.values_size() == 0) continue;
    out.set_name(std::string(family.descriptor->name));
    out.set_type(std::string(model::type_name(family.descriptor->type, "unknown")));
    out.set_unit(std::string(family.descriptor->unit));
    if (detail == MetricDetail::full) out.set_help(std::string(family.descriptor->help));
    take(out);
  }
  return all.refused;
}

void fill(std::span<const model::SampleBatch* const> batches, v1::MetricFamilyList& out, MetricDetail detail,
          const std::function<bool(const model::SampleView&)>& wanted) {
  out.set_refused(
      each_family(batches, detail, wanted, [&out](v1::MetricFamily& family) { out.add_items()->Swap(&family); }));
}

}  // namespace omnitide::daemon
