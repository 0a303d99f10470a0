// `metrics`: what the running agent measures, with what it means.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <memory>

#include "agent/base/text.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/metric_set.hpp"
#include "agent/cli/metrics_documentation.hpp"
#include "agent/cli/metrics_text.hpp"
#include "agent/metrics/render.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

struct MetricOptions {
  std::string pattern;
  bool docs = false;
};

MetricSet chosen(MetricSet all, const std::string& pattern) {
  std::erase_if(all, [&pattern](const auto& entry) { return !matches(pattern, entry.first); });
  return all;
}

void fill(const MetricSet& set, v1::MetricFamilyList& out) {
  for (const auto& [name, family] : set) {
    v1::MetricFamily& added = *out.add_items();
    added.set_name(name);
    added.set_type(family.type);
    added.set_unit(family.unit);
    added.set_help(family.help);
    for (const MetricValue& value : family.values) {
      v1::MetricValue& row = *added.add_values();
      row.mutable_labels()->insert(value.labels.begin(), value.labels.end());
      row.set_value(value.value);
      row.set_sum(value.sum);
      row.set_count(value.count);
      for (const auto& [at, count] : value.points) {
        v1::MetricPoint& point = *row.add_points();
        point.set_at(at);
        point.set_value(count);
      }
    }
  }
}

model::MetricType type_of(std::string_view word) {
  if (word == "gauge") return model::MetricType::gauge;
  if (word == "counter") return model::MetricType::counter;
  if (word == "histogram") return model::MetricType::histogram;
  return word == "summary" ? model::MetricType::summary : model::MetricType::unknown;
}

void add(const MetricFamily& family, const MetricValue& value, model::SampleBatch& out) {
  std::vector<std::string_view> names, labels;
  for (const auto& [name, label] : value.labels) {
    names.push_back(name);
    labels.push_back(label);
  }
  const model::MetricDescriptor& descriptor =
      out.describe({family.name, family.unit, family.help, type_of(family.type), names});
  if (descriptor.type != model::MetricType::histogram && descriptor.type != model::MetricType::summary)
    return out.add(descriptor, value.value, labels);
  std::vector<model::Distribution::Point> points;
  for (const auto& [at, count] : value.points)
    points.push_back({at, count});
  out.add(descriptor, {points, value.sum, value.count}, labels);
}

std::string prometheus_text(const MetricSet& set) {
  model::SampleBatch batch;
  for (const auto& [name, family] : set)
    for (const MetricValue& value : family.values)
      add(family, value, batch);
  const std::array<const model::SampleBatch*, 1> batches{&batch};
  return metrics::render(batches).text;
}

int show_metrics(const Session& session, const MetricOptions& options) {
  Result<MetricSet> all = ask_metrics(session);
  if (all.has_error()) return session.failed(all.error());
  const MetricSet set = chosen(std::move(*all), options.pattern);
  if (set.empty()) {
    return session.failed(
        fail(Code::not_found, fmt::format("no metric is called like \"{}\"", printable(options.pattern, 80)))
            .with_hint("a part of a name, or a pattern such as node_disk_*; without one all are shown"));
  }
  if (session.format() == Format::prometheus) return session.print(prometheus_text(set));
  if (session.format() == Format::table) return session.print(metrics_text(set, session.console()));
  v1::MetricFamilyList list;
  fill(set, list);
  return session.print(list);
}

}  // namespace

void add_metrics(Command& root, Session& session) {
  const auto options = std::make_shared<MetricOptions>();
  Command command = root.add("metrics", "What the agent measures now: values, units, what they mean");
  session.add_location(command);
  session.add_format(command, "table|json|prometheus");
  command.optional_argument("PATTERN", options->pattern, "A part of the name, or with * and ? the whole name")
      .example("omnitide-agent metrics pressure\nomnitide-agent metrics 'node_disk_*_bytes_total' -o json")
      .footnote("Prometheus gets the same from /metrics; `omnitide-agent status` has the URL.")
      .flag("--docs", options->docs, "All that can be measured, as docs/metrics.md; needs no agent")
      .action([&session, options] {
        if (!options->docs) return show_metrics(session, *options);
        return session.print(metrics_documentation(session.callbacks().collectors()));
      });
}

}  // namespace omnitide::cli
