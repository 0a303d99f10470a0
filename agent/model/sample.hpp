// One measured value. Every metric exists once, as a Sample with a typed descriptor; Prometheus text,
// Sparkplug payloads and tables are renderings of the same values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::model {

// As Prometheus has them; `unknown` is "untyped" in its older text format.
enum class MetricType : std::uint8_t { gauge, counter, unknown, histogram, summary };

// Lives in static storage: a Sample holds a pointer to it.
struct MetricDescriptor {
  std::string_view name;  // Prometheus base name, with its unit: "omnitide_thermal_zone_celsius"
  std::string_view unit;  // "bytes", "seconds", "celsius", "hertz", "ratio", or empty
  std::string_view help;
  MetricType type = MetricType::gauge;
  std::span<const std::string_view> labels;  // label names, in the order of Sample::labels
};

struct Sample {
  const MetricDescriptor* descriptor = nullptr;  // never null in a valid Sample; not owned
  std::vector<std::string> labels;               // values, one for each of descriptor->labels
  double value = 0;
};

}  // namespace omnitide::model
