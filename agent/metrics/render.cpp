#include "agent/metrics/render.hpp"

#include <cmath>

#include "agent/metrics/families.hpp"
#include "agent/model/metric_type.hpp"

namespace omnitide::metrics {

namespace {

using model::MetricDescriptor;
using model::MetricType;
using model::SampleView;

constexpr std::string_view kTotal = "_total";

// A label that the format itself adds: the bound of a bucket, or a quantile.
struct Bound {
  std::string_view name;
  double value = 0;
};

class Writer {
 public:
  Writer(TextFormat format, const Sink& sink) : out_(sink), format_(format) {}

  void family(const Families& all, std::size_t at);
  void end() {
    if (openmetrics()) out_.append("# EOF\n");
    out_.flush();
  }
  [[nodiscard]] std::size_t total() const { return out_.total(); }
  [[nodiscard]] RenderCounts& counts() { return counts_; }

 private:
  [[nodiscard]] bool openmetrics() const { return format_ == TextFormat::openmetrics; }
  void head(const MetricDescriptor& family, std::string_view name, MetricType type);
  void series(const SampleView& sample, std::string_view suffix, const Bound* bound);
  void line(const SampleView& sample, std::string_view suffix, double value, const Bound* bound = nullptr);
  void distribution(const SampleView& sample, bool histogram);

  TextBuffer out_;
  TextFormat format_;
  RenderCounts counts_;
};

void Writer::head(const MetricDescriptor& family, std::string_view name, MetricType type) {
  if (!family.help.empty()) {
    out_.append("# HELP ");
    out_.append(name);
    out_.append(' ');
    openmetrics() ? append_quoted(out_, family.help) : append_help(out_, family.help);
    out_.append('\n');
  }
  out_.append("# TYPE ");
  out_.append(name);
  out_.append(' ');
  out_.append(model::type_name(type, format_ == TextFormat::openmetrics ? "unknown" : "untyped"));
  out_.append('\n');
  const std::string_view unit = family.unit;
  const bool ends_in_unit = !unit.empty() && name.size() > unit.size() + 1 && name.ends_with(unit) &&
                            name[name.size() - unit.size() - 1] == '_';
  if (!openmetrics() || !ends_in_unit) return;
  out_.append("# UNIT ");
  out_.append(name);
  out_.append(' ');
  out_.append(unit);
  out_.append('\n');
}

void Writer::series(const SampleView& sample, std::string_view suffix, const Bound* bound) {
  out_.append(sample.descriptor->name);
  out_.append(suffix);
  char before = '{';
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    out_.append(before);
    out_.append(sample.descriptor->labels[i]);
    out_.append("=\"");
    append_quoted(out_, sample.labels[i]);
    out_.append('"');
    before = ',';
  }
  if (bound != nullptr) {
    out_.append(before);
    out_.append(bound->name);
    out_.append("=\"");
    openmetrics() ? append_bound(out_, bound->value) : append_number(out_, bound->value);
    out_.append('"');
    before = ',';
  }
  if (before == ',') out_.append('}');
}

void Writer::line(const SampleView& sample, std::string_view suffix, double value, const Bound* bound) {
  series(sample, suffix, bound);
  out_.append(' ');
  append_number(out_, value);
  out_.append('\n');
  ++counts_.samples;
}

void Writer::distribution(const SampleView& sample, bool histogram) {
  const model::Distribution& all = *sample.distribution;
  for (const model::Distribution::Point& point : all.points) {
    const Bound bound{histogram ? "le" : "quantile", point.at};
    line(sample, histogram ? "_bucket" : "", point.value, &bound);
  }
  if (histogram) {
    const Bound infinite{"le", HUGE_VAL};
    line(sample, "_bucket", all.count, &infinite);
  }
  line(sample, "_sum", all.sum);
  line(sample, "_count", all.count);
}

// Whether a family before this one has its name without _total: names that begin alike are neighbours.
bool clashes(const Families& all, std::size_t at, std::string_view name) {
  while (at-- > 0 && all.families[at].descriptor->name.starts_with(name)) {
    if (all.families[at].descriptor->name == name) return true;
  }
  return false;
}

void Writer::family(const Families& all, std::size_t at) {
  const Family& family = all.families[at];
  std::string_view name = family.descriptor->name;
  MetricType type = family.descriptor->type;
  if (openmetrics() && type == MetricType::counter) {
    const std::string_view bare = name.substr(0, name.size() - std::min(name.size(), kTotal.size()));
    if (name.ends_with(kTotal) && !bare.empty() && !clashes(all, at, bare)) {
      name = bare;
    } else {
      type = MetricType::unknown;
    }
  }
  head(*family.descriptor, name, type);
  for (const SampleView* sample : family.samples) {
    if (sample->distribution != nullptr) {
      distribution(*sample, type == MetricType::histogram);
    } else if (openmetrics() && type == MetricType::counter && !(sample->value >= 0)) {
      ++counts_.refused;
    } else {
      line(*sample, "", sample->value);
    }
  }
}

}  // namespace

std::string_view content_type(TextFormat format) {
  return format == TextFormat::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                           : "text/plain; version=0.0.4; charset=utf-8";
}

RenderCounts render(std::span<const model::SampleBatch* const> batches, TextFormat format, const Sink& sink,
                    std::size_t limit) {
  const Families all = group(batches);
  Writer writer(format, sink);
  writer.counts().refused = all.refused;
  for (std::size_t i = 0; i < all.families.size(); ++i) {
    if (writer.total() < limit) {
      writer.family(all, i);
    } else {
      writer.counts().refused += all.families[i].samples.size();
    }
  }
  writer.end();
  return writer.counts();
}

Rendered render(std::span<const model::SampleBatch* const> batches, TextFormat format) {
  Rendered out;
  out.refused = render(batches, format, [&out](std::string_view piece) { out.text += piece; }).refused;
  return out;
}

}  // namespace omnitide::metrics
