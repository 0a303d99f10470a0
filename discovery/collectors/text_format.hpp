// Reads the Prometheus text format 0.0.4, as other programs leave it in files for this one
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::discovery {

struct TextSample {
  std::string suffix;                                       // "", "_sum", "_count" or "_bucket"
  std::vector<std::pair<std::string, std::string>> labels;  // in the order of the text, le and quantile too
  double value = 0;
};

struct TextFamily {
  std::string name, help;
  bool has_help = false;
  model::MetricType type = model::MetricType::unknown;
  std::vector<TextSample> samples;
};

// Families by name. invalid_argument with the number of the line for what is wrong; samples with a time of their own
// are refused, since a scraper would take them for old ones.
[[nodiscard]] Result<std::map<std::string, TextFamily>> parse_text_format(std::string_view text);

// The family's samples into a batch. Labels that only some of them have are empty for the others, as one family has one
// set of labels.
void add_family(const TextFamily& family, model::SampleBatch& batch);

}  // namespace omnitide::discovery
