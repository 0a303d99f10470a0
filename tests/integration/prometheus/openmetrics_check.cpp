// Reads OpenMetrics text on standard input by the strict reader; says what is wrong and ends with 1.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/harness/openmetrics.hpp"

int main() {
  std::string text;
  for (int c = std::getchar(); c != EOF; c = std::getchar())
    text += static_cast<char>(c);
  try {
    const auto families = omnitide::test::parse_openmetrics(text);
    std::printf("%zu families\n", families.size());
    return families.empty() ? 1 : 0;
  } catch (const std::exception& problem) {
    std::printf("%s\n", problem.what());
    return 1;
  }
}
