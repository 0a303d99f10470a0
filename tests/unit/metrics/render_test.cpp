#include "agent/metrics/render.hpp"

#include <array>
#include <limits>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::render;
using model::MetricDescriptor;
using model::MetricType;
using model::Sample;

namespace {
constexpr std::array<std::string_view, 2> kLabels{"device", "state"};
constexpr MetricDescriptor kDisk{"omnitide_disk", "bytes", "Size of a \\ disk.\nSecond line.", MetricType::gauge,
                                 kLabels};
constexpr MetricDescriptor kPlain{"omnitide_a_total", "", "Count.", MetricType::counter, {}};
constexpr MetricDescriptor kClash{"omnitide_a_total", "", "Other.", MetricType::gauge, {}};
constexpr MetricDescriptor kBadName{"omnitide-dash", "", "", MetricType::gauge, {}};
constexpr std::array<std::string_view, 1> kBadLabel{"a:b"};
constexpr MetricDescriptor kBadLabels{"omnitide_b", "", "", MetricType::gauge, kBadLabel};
}  // namespace

TEST_CASE("families are sorted and have HELP and TYPE once") {
  const std::vector<Sample> samples{{&kDisk, {"sda", "up"}, 1}, {&kPlain, {}, 3}, {&kDisk, {"sdb", "up"}, 2.5}};
  const metrics::Rendered out = render(samples);
  CHECK(out.text ==
        "# HELP omnitide_a_total Count.\n"
        "# TYPE omnitide_a_total counter\n"
        "omnitide_a_total 3\n"
        "# HELP omnitide_disk Size of a \\\\ disk.\\nSecond line.\n"
        "# TYPE omnitide_disk gauge\n"
        "omnitide_disk{device=\"sda\",state=\"up\"} 1\n"
        "omnitide_disk{device=\"sdb\",state=\"up\"} 2.5\n");
  CHECK(out.refused == 0);
  CHECK(render({}).text.empty());
}

TEST_CASE("label values are escaped and always UTF-8") {
  const std::vector<Sample> samples{{&kDisk, {"a\"b\\c\nd\xff", "ünïcode"}, 0}};
  CHECK(render(samples).text.find("{device=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\",state=\"ünïcode\"} 0\n") !=
        std::string::npos);
}

TEST_CASE("numbers are the shortest that read back the same") {
  using Limits = std::numeric_limits<double>;
  const std::vector<std::pair<double, std::string>> cases{{0, "0"},
                                                          {-1, "-1"},
                                                          {0.1, "0.1"},
                                                          {1.0 / 3, "0.3333333333333333"},
                                                          {1e15, "1000000000000000"},
                                                          {1.8446744073709552e19, "1.8446744073709552e+19"},
                                                          {Limits::quiet_NaN(), "NaN"},
                                                          {Limits::infinity(), "+Inf"},
                                                          {-Limits::infinity(), "-Inf"},
                                                          {5e-324, "5e-324"}};
  for (const auto& [value, text] : cases) {
    const std::vector<Sample> samples{{&kPlain, {}, value}};
    CHECK(render(samples).text.ends_with("\nomnitide_a_total " + text + "\n"));
  }
}

TEST_CASE("what would spoil the whole scrape is left out and counted, the first of two stays") {
  const std::vector<Sample> samples{{&kPlain, {}, 1},       {&kPlain, {}, 2},          {&kClash, {}, 3},
                                    {nullptr, {}, 4},       {&kDisk, {"only one"}, 5}, {&kBadName, {}, 6},
                                    {&kBadLabels, {"x"}, 7}};
  const metrics::Rendered out = render(samples);
  CHECK(out.refused == 6);
  CHECK(out.text == "# HELP omnitide_a_total Count.\n# TYPE omnitide_a_total counter\nomnitide_a_total 1\n");
}
