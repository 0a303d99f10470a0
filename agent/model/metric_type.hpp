// Names of the types of metrics, as Prometheus' formats have them.
#pragma once

#include <string_view>

#include "agent/model/sample.hpp"

namespace omnitide::model {

// `unknown` is what the format at hand calls a type that is not known: "unknown" in OpenMetrics, "untyped" before it.
constexpr std::string_view type_name(MetricType type, std::string_view unknown) {
  switch (type) {
    case MetricType::gauge: return "gauge";
    case MetricType::counter: return "counter";
    case MetricType::histogram: return "histogram";
    case MetricType::summary: return "summary";
    case MetricType::unknown: break;
  }
  return unknown;
}

}  // namespace omnitide::model
