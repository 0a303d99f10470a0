// The report of omnitide-agent-smart.service as values: lines of Prometheus' text, of which the families below count.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "health/checks/finding.hpp"
#include "health/checks/readings.hpp"

namespace omnitide::health {

inline constexpr std::string_view kDiskReport = "/run/omnitide-maintenance/smart.prom";

struct DiskValue {
  std::string_view family, device;  // of the text
  double value = 0;
};
// One line; nothing for a comment and for what has another form than "FAMILY{device=\"NAME\"} VALUE" or "FAMILY VALUE".
[[nodiscard]] std::optional<DiskValue> parse_disk_value(std::string_view line);

// From which wear on a disk is to be replaced, of its rated life.
[[nodiscard]] Finding look_at_disk_wear(const Readings& readings, double most_used_ratio);

}  // namespace omnitide::health
