// What collectors put into batches, in the form of a scrape.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "agent/model/collector.hpp"
#include "agent/model/metric_type.hpp"
#include "tests/harness/exposition.hpp"

namespace omnitide::test {

inline void add_batch(const model::SampleBatch& batch, Scrape& out) {
  for (const model::SampleView& row : batch.views()) {
    const std::string name(row.descriptor->name);
    ScrapedFamily& family = out[name];
    const std::string type(model::type_name(row.descriptor->type, "untyped"));
    if (!family.type.empty() && family.type != type) throw std::runtime_error("two types of one family: " + name);
    family.type = type;
    std::string labels = "{";
    for (std::size_t i = 0; i < row.labels.size(); ++i) {
      std::string text;
      for (const char c : row.labels[i]) {
        if (c == '\\' || c == '"') text += '\\';
        text += c;
      }
      labels += (i > 0 ? "," : "") + std::string(row.descriptor->labels[i]) + "=\"" + text + "\"";
    }
    const std::string series = name + sorted_labels(labels + "}");
    if (!family.series.emplace(series, row.value).second) throw std::runtime_error("a series twice: " + series);
  }
}

// Each collector once; one that fails gives nothing.
inline Scrape collect_all(const std::vector<model::Collector>& collectors) {
  Scrape out;
  for (const model::Collector& collector : collectors) {
    model::SampleBatch batch;
    if (collector.collect(batch).has_value()) add_batch(batch, out);
  }
  return out;
}

}  // namespace omnitide::test
