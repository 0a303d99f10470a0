// Reads a source as the inventory does: the report, and the facts that its patch makes.
#pragma once

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "discovery/sources/source.hpp"

namespace omnitide::test {

struct Outcome {
  model::NodeFacts facts;
  std::vector<model::Sample> samples;
  std::vector<std::string> problems;

  // The value of a sample by its name and label values; nullopt when there is none.
  [[nodiscard]] std::optional<double> sample(std::string_view name, const std::vector<std::string>& labels = {}) const {
    const auto found = std::find_if(samples.begin(), samples.end(), [&](const model::Sample& sample) {
      return sample.descriptor->name == name && sample.labels == labels;
    });
    return found == samples.end() ? std::nullopt : std::optional(found->value);
  }
  [[nodiscard]] bool complains_about(std::string_view text) const {
    return std::any_of(problems.begin(), problems.end(),
                       [text](const std::string& problem) { return problem.find(text) != std::string::npos; });
  }
};

// Throws when the source fails altogether.
[[nodiscard]] inline Outcome read_source(const discovery::Source& source, const Root& root) {
  Result<discovery::Report> report = source.read(root);
  if (report.has_error()) throw std::runtime_error(report.error().text());
  Outcome outcome;
  if (report->patch) report->patch(outcome.facts);
  outcome.samples = std::move(report->samples);
  outcome.problems = std::move(report->problems);
  for (const model::Sample& sample : outcome.samples) {
    if (sample.descriptor == nullptr || sample.descriptor->labels.size() != sample.labels.size())
      throw std::runtime_error("a sample does not fit its descriptor");
  }
  return outcome;
}

}  // namespace omnitide::test
