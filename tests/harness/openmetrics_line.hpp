// One line of OpenMetrics text. Inside of the reader.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tests/harness/openmetrics.hpp"

namespace omnitide::test {

struct OpenLine {
  OpenSample sample;
  std::optional<std::pair<std::map<std::string, std::string>, double>> exemplar;
};

// All of these throw std::runtime_error.
[[nodiscard]] OpenLine parse_sample(std::string_view line);
[[nodiscard]] double parse_real(std::string_view text);
[[nodiscard]] std::string unescape(std::string_view text);
void need_metric_name(std::string_view name);
[[noreturn]] void refuse(const std::string& what);
inline void need(bool good, const std::string& what) {
  if (!good) refuse(what);
}

}  // namespace omnitide::test
