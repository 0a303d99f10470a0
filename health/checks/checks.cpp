#include "health/checks/checks.hpp"

#include <fmt/format.h>

#include <iterator>

namespace omnitide::health {

Finding Check::evaluate(const Readings& readings) const {
  Finding out = look(readings);
  out.condition = condition;
  out.check = name;
  return out;
}

Finding good(std::string reason, std::string message) {
  return {.condition = {},
          .check = {},
          .verdict = Verdict::good,
          .reason = std::move(reason),
          .message = std::move(message),
          .evidence = {}};
}

Finding bad(std::string reason, std::string message, Evidence evidence) {
  return {.condition = {},
          .check = {},
          .verdict = Verdict::bad,
          .reason = std::move(reason),
          .message = std::move(message),
          .evidence = std::move(evidence)};
}

Finding unknown(std::string message) {
  return {.condition = {},
          .check = {},
          .verdict = Verdict::unknown,
          .reason = "NotMeasured",
          .message = std::move(message),
          .evidence = {}};
}

std::string percent(double value) { return fmt::format("{:.1f} %", value); }

std::vector<Check> node_checks(const Thresholds& thresholds, const std::vector<std::string>& suspects) {
  std::vector<Check> out = filesystem_checks(thresholds, suspects);
  for (auto more : {resource_checks, network_checks, hardware_checks, agent_checks}) {
    std::vector<Check> checks = more(thresholds);
    std::move(checks.begin(), checks.end(), std::back_inserter(out));
  }
  return out;
}

}  // namespace omnitide::health
