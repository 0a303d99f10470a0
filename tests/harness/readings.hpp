// Reads one source under a root and applies what it says.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/node_facts.hpp"
#include "agent/model/sample.hpp"
#include "discovery/sources/source.hpp"

namespace omnitide::test {

struct Reading {
  model::NodeFacts facts;
  std::vector<model::Sample> samples;
  std::vector<std::string> problems;
};

// Throws when the source gives an error: what a test of facts does not expect.
[[nodiscard]] inline Reading read_source(const discovery::Source& source, const Root& root) {
  Result<discovery::Report> report = source.read(root);
  if (report.has_error()) throw std::runtime_error(report.error().text());
  Reading out;
  report->patch(out.facts);
  out.samples = std::move(report->samples);
  out.problems = std::move(report->problems);
  return out;
}

// The item whose member `key` is `name`; throws when there is none.
template <class T>
[[nodiscard]] const T& item(const std::vector<T>& items, std::string T::*key, std::string_view name) {
  const auto found = std::find_if(items.begin(), items.end(), [=](const T& value) { return value.*key == name; });
  if (found == items.end()) throw std::runtime_error("there is no " + std::string(name));
  return *found;
}
template <class T>
[[nodiscard]] bool has(const std::vector<T>& items, std::string T::*key, std::string_view name) {
  return std::any_of(items.begin(), items.end(), [=](const T& value) { return value.*key == name; });
}

// The value of the sample with these labels; throws when there is none.
[[nodiscard]] inline double sample(const Reading& reading, std::string_view name,
                                   const std::vector<std::string>& labels) {
  for (const model::Sample& sample : reading.samples) {
    if (sample.descriptor->name == name && sample.labels == labels) return sample.value;
  }
  throw std::runtime_error("there is no sample " + std::string(name));
}

}  // namespace omnitide::test
