// A strict reader of OpenMetrics 1.0 text
// (https://github.com/OpenObservability/OpenMetrics/blob/main/specification/OpenMetrics.md): what it takes, every
// scraper takes. It knows nothing of the code that writes it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::test {

struct OpenSample {
  std::string name;  // with its suffix
  std::map<std::string, std::string> labels;
  double value = 0;
  bool has_exemplar = false;
};

struct OpenFamily {
  std::string name, type = "unknown", help, unit;
  std::vector<OpenSample> samples;
};

// Throws std::runtime_error "line N: what is wrong".
[[nodiscard]] std::vector<OpenFamily> parse_openmetrics(std::string_view text);

}  // namespace omnitide::test
