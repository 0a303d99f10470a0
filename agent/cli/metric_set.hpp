// One collection of the running agent, for looking things up.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::cli {

class Session;

using MetricLabels = std::map<std::string, std::string>;

struct MetricValue {
  MetricLabels labels;
  double value = 0;
  std::vector<std::pair<double, double>>
      points;  // of a histogram: bound and count at or below it; of a summary: see .proto
  double sum = 0, count = 0;
};

struct MetricFamily {
  std::string name, type, unit, help;
  std::vector<MetricValue> values;
};

using MetricSet = std::map<std::string, MetricFamily, std::less<>>;

// Asks the agent for everything it knows.
[[nodiscard]] Result<MetricSet> ask_metrics(const Session& session);

// Whether `name` is meant: a part of it, or, with * or ?, all of it. An empty pattern means every name.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name);

// The value below which the share `q` of the observations lies, by straight lines between the bounds; nothing without
// observations. Beyond the last bound it is that bound.
[[nodiscard]] std::optional<double> quantile(const MetricValue& histogram, double q);

// "12us", "1.2ms", "3.4s"; "12", "1.2k", "3.4M"; "1.2 MiB".
[[nodiscard]] std::string seconds_text(double seconds);
[[nodiscard]] std::string count_text(double count);
[[nodiscard]] std::string bytes_text(double bytes);

}  // namespace omnitide::cli
