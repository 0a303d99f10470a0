// Samples as text for scrapers: the Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format) and OpenMetrics 1.0
// (https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "agent/metrics/text_buffer.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::metrics {

enum class TextFormat : std::uint8_t { prometheus, openmetrics };

[[nodiscard]] std::string_view content_type(TextFormat format);

inline constexpr std::size_t kLongestText = std::size_t{64} << 20U;

struct RenderCounts {
  std::size_t samples = 0;  // written
  std::size_t refused = 0;  // left out: see Families::refused; in OpenMetrics also counters below zero or NaN
};

// Families by name, each with its HELP and TYPE once; within a family the order of the samples. Histograms and
// summaries become _bucket, _sum and _count. OpenMetrics: UNIT where the name ends in the unit; what its rules for
// names do not let be a counter (no _total, or another family has the name without it) is of type unknown there.
// Families that begin after `limit` bytes are left out and counted.
RenderCounts render(std::span<const model::SampleBatch* const> batches, TextFormat format, const Sink& sink,
                    std::size_t limit = kLongestText);

struct Rendered {
  std::string text;
  std::size_t refused = 0;
};
[[nodiscard]] Rendered render(std::span<const model::SampleBatch* const> batches,
                              TextFormat format = TextFormat::prometheus);

}  // namespace omnitide::metrics
