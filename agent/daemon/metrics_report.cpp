#include "agent/daemon/metrics_report.hpp"

#include "agent/base/text.hpp"
#include "agent/metrics/families.hpp"
#include "agent/model/metric_type.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

namespace {

void fill(const model::SampleView& sample, v1::MetricValue& out) {
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    if (!sample.labels[i].empty())
      (*out.mutable_labels())[std::string(sample.descriptor->labels[i])] = valid_utf8(sample.labels[i]);
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

void fill(std::span<const model::SampleBatch* const> batches, v1::MetricFamilyList& out, MetricDetail detail,
          const std::function<bool(const model::SampleView&)>& wanted) {
  const metrics::Families all = metrics::group(batches);
  out.set_refused(all.refused);
  for (const metrics::Family& family : all.families) {
    v1::MetricFamily* added = nullptr;
    for (const model::SampleView* sample : family.samples) {
      if (wanted && !wanted(*sample)) continue;
      if (added == nullptr) {
        added = out.add_items();
        added->set_name(std::string(family.descriptor->name));
        added->set_type(std::string(model::type_name(family.descriptor->type, "unknown")));
        added->set_unit(std::string(family.descriptor->unit));
        if (detail == MetricDetail::full) added->set_help(valid_utf8(family.descriptor->help));
      }
      fill(*sample, *added->add_values());
    }
  }
}

}  // namespace omnitide::daemon
