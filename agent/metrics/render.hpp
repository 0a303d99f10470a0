// Samples as the Prometheus text format, version 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "agent/model/sample.hpp"

namespace omnitide::metrics {

inline constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

struct Rendered {
  std::string text;
  // Samples left out, since a scraper would refuse the whole text for them: without a descriptor, with a name that is
  // none, with other labels than the descriptor says, of another type than the family has, or the same series twice
  // (the first stays).
  std::size_t refused = 0;
};

// Families by name, each with its HELP and TYPE once; within a family the order of the samples.
[[nodiscard]] Rendered render(std::span<const model::Sample> samples);

}  // namespace omnitide::metrics
