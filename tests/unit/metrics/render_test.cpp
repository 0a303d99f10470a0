#include "agent/metrics/render.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::TextFormat;
using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

namespace {
constexpr std::array<std::string_view, 2> kLabels{"device", "state"};
constexpr MetricDescriptor kDisk{"omnitide_disk", "bytes", "Size of a \\ \"disk\".\nSecond line.", MetricType::gauge,
                                 kLabels};
constexpr MetricDescriptor kPlain{"omnitide_a_total", "", "Count.", MetricType::counter, {}};
constexpr MetricDescriptor kClash{"omnitide_a_total", "", "Other.", MetricType::gauge, {}};
constexpr MetricDescriptor kBadName{"omnitide-dash", "", "", MetricType::gauge, {}};
constexpr std::array<std::string_view, 1> kBadLabel{"a:b"}, kTaken{"le"}, kReserved{"__name__"}, kDevice{"device"};
constexpr std::array<std::string_view, 2> kTwice{"a", "a"}, kTurned{"state", "device"};
constexpr MetricDescriptor kBadLabels{"omnitide_b", "", "", MetricType::gauge, kBadLabel};
constexpr MetricDescriptor kDiskTurned{"omnitide_disk", "bytes", "", MetricType::gauge, kTurned};
constexpr MetricDescriptor kDiskShort{"omnitide_disk", "bytes", "", MetricType::gauge, kDevice};
constexpr MetricDescriptor kWait{"omnitide_wait_seconds", "seconds", "Waits.", MetricType::histogram, kDevice};
constexpr MetricDescriptor kPause{"omnitide_pause_seconds", "seconds", "Pauses.", MetricType::summary, {}};

metrics::Rendered render(const SampleBatch& batch, TextFormat format = TextFormat::prometheus) {
  const std::array batches{&batch};
  return metrics::render(batches, format);
}

std::string line_of(double value) {
  SampleBatch batch;
  batch.add(kPlain, value);
  return render(batch).text;
}

std::size_t refused(const MetricDescriptor& descriptor, const model::Distribution& distribution,
                    std::initializer_list<std::string_view> labels = {}) {
  SampleBatch batch;
  batch.add(descriptor, distribution, std::span(labels.begin(), labels.size()));
  return render(batch).refused;
}
}  // namespace

TEST_CASE("families are sorted and have HELP and TYPE once") {
  SampleBatch first, second;
  first.add(kDisk, 1, {"sda", "up"});
  first.add(kPlain, 3);
  second.add(kDisk, 2.5, {"sdb", "up"});
  const std::array<const SampleBatch*, 2> batches{&first, &second};
  const metrics::Rendered out = metrics::render(batches);
  CHECK(out.text ==
        "# HELP omnitide_a_total Count.\n"
        "# TYPE omnitide_a_total counter\n"
        "omnitide_a_total 3\n"
        "# HELP omnitide_disk Size of a \\\\ \"disk\".\\nSecond line.\n"
        "# TYPE omnitide_disk gauge\n"
        "omnitide_disk{device=\"sda\",state=\"up\"} 1\n"
        "omnitide_disk{device=\"sdb\",state=\"up\"} 2.5\n");
  CHECK(out.refused == 0);
  CHECK(metrics::render({}).text.empty());
}

TEST_CASE("many families and many samples come out whole and in order") {
  SampleBatch batch;
  for (int i = 2999; i >= 0; --i) {
    const std::string name = "omnitide_f" + std::to_string(10000 + i);
    batch.add(batch.describe({name, "", "", MetricType::gauge, kDevice}), i, {"a"});
    batch.add(batch.describe({name, "", "", MetricType::gauge, kDevice}), i, {"b"});
  }
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    const std::string name = "omnitide_f" + std::to_string(10000 + i);
    expected += "# TYPE " + name + " gauge\n";
    for (const char* device : {"a", "b"})
      expected += name + "{device=\"" + device + "\"} " + std::to_string(i) + "\n";
  }
  CHECK(render(batch).text == expected);
}

TEST_CASE("label values are escaped and always UTF-8") {
  SampleBatch batch;
  batch.add(kDisk, 0, {"a\"b\\c\nd\xff", "ünïcode"});
  batch.add(kDisk, 0, {"0123456789abcde\"", "0123456\n"});
  const std::string text = render(batch).text;
  CHECK(text.find("{device=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\",state=\"ünïcode\"} 0\n") != std::string::npos);
  CHECK(text.find("{device=\"0123456789abcde\\\"\",state=\"0123456\\n\"} 0\n") != std::string::npos);
}

TEST_CASE("two values that are one after the repair are one series: the first stays and the other is counted") {
  SampleBatch batch;
  batch.add(kDisk, 1, {"sd\xef", "x"});
  batch.add(kDisk, 2, {"sd\xea", "x"});
  const auto out = render(batch);
  CHECK(out.text.find("{device=\"sd\xEF\xBF\xBD\",state=\"x\"} 1\n") != std::string::npos);
  CHECK(out.text.find("} 2\n") == std::string::npos);
  CHECK(out.refused == 1);
}

TEST_CASE("numbers are the shortest that read back the same") {
  using Limits = std::numeric_limits<double>;
  const std::vector<std::pair<double, std::string>> cases{{0, "0"},
                                                          {-1, "-1"},
                                                          {0.1, "0.1"},
                                                          {1.0 / 3, "0.3333333333333333"},
                                                          {1e15, "1000000000000000"},
                                                          {9007199254740991.0, "9007199254740991"},
                                                          {1.8446744073709552e19, "1.8446744073709552e+19"},
                                                          {Limits::quiet_NaN(), "NaN"},
                                                          {Limits::infinity(), "+Inf"},
                                                          {-Limits::infinity(), "-Inf"},
                                                          {5e-324, "5e-324"}};
  for (const auto& [value, text] : cases)
    CHECK(line_of(value).ends_with("\nomnitide_a_total " + text + "\n"));
}

TEST_CASE("what would spoil the whole scrape is left out and counted, the first of two stays") {
  SampleBatch batch;
  batch.add(kPlain, 1);
  batch.add(kPlain, 2);
  batch.add(kClash, 3);
  batch.add(kDisk, 5, {"only one"});
  batch.add(kBadName, 6);
  batch.add(kBadLabels, 7, {"x"});
  const metrics::Rendered out = render(batch);
  CHECK(out.refused == 5);
  CHECK(out.text == "# HELP omnitide_a_total Count.\n# TYPE omnitide_a_total counter\nomnitide_a_total 1\n");
  for (const auto& labels : {std::span(kReserved), std::span(kTaken)}) {
    SampleBatch other;
    other.add(other.describe({"omnitide_c", "", "", MetricType::histogram, labels}), model::Distribution{},
              std::array<std::string_view, 1>{"x"});
    CHECK(render(other).refused == 1);
  }
  SampleBatch twice;
  twice.add(twice.describe({"omnitide_c", "", "", MetricType::gauge, kTwice}), 1, {"x", "y"});
  CHECK(render(twice).refused == 1);
}

TEST_CASE("one series is one series in whichever order and form its labels come") {
  SampleBatch batch;
  batch.add(kDisk, 1, {"sda", "up"});
  batch.add(kDiskTurned, 2, {"up", "sda"});
  batch.add(kDisk, 3, {"sda", ""});
  batch.add(kDiskShort, 4, {"sda"});
  batch.add(kDiskTurned, 5, {"sda", "up"});
  const metrics::Rendered out = render(batch);
  CHECK(out.refused == 2);
  CHECK(
      out.text.ends_with("omnitide_disk{device=\"sda\",state=\"up\"} 1\nomnitide_disk{device=\"sda\",state=\"\"} 3\n"
                         "omnitide_disk{state=\"sda\",device=\"up\"} 5\n"));
}

TEST_CASE("histograms and summaries are written as their parts") {
  const std::array<model::Distribution::Point, 2> buckets{{{0.001, 2}, {1, 5}}}, quantiles{{{0.5, 0.25}, {1, 3}}};
  SampleBatch batch;
  batch.add(kWait, {buckets, 1.5, 7}, std::array<std::string_view, 1>{"sda"});
  batch.add(kPause, {quantiles, 4.5, 9}, {});
  CHECK(render(batch).text ==
        "# HELP omnitide_pause_seconds Pauses.\n"
        "# TYPE omnitide_pause_seconds summary\n"
        "omnitide_pause_seconds{quantile=\"0.5\"} 0.25\n"
        "omnitide_pause_seconds{quantile=\"1\"} 3\n"
        "omnitide_pause_seconds_sum 4.5\n"
        "omnitide_pause_seconds_count 9\n"
        "# HELP omnitide_wait_seconds Waits.\n"
        "# TYPE omnitide_wait_seconds histogram\n"
        "omnitide_wait_seconds_bucket{device=\"sda\",le=\"0.001\"} 2\n"
        "omnitide_wait_seconds_bucket{device=\"sda\",le=\"1\"} 5\n"
        "omnitide_wait_seconds_bucket{device=\"sda\",le=\"+Inf\"} 7\n"
        "omnitide_wait_seconds_sum{device=\"sda\"} 1.5\n"
        "omnitide_wait_seconds_count{device=\"sda\"} 7\n");
}

TEST_CASE("a distribution that is none is refused") {
  using Points = std::vector<model::Distribution::Point>;
  const auto histogram = [](const Points& points, double count) { return refused(kWait, {points, 0, count}, {"sda"}); };
  CHECK(histogram({{1, 1}, {2, 1}}, 1) == 0);
  CHECK(histogram({}, 0) == 0);
  CHECK(histogram({{1, 2}, {2, 1}}, 2) == 1);  // falls
  CHECK(histogram({{2, 1}, {1, 1}}, 2) == 1);  // bounds out of order
  CHECK(histogram({{1, 1}, {2, 3}}, 2) == 1);  // more than all
  CHECK(histogram({{HUGE_VAL, 1}}, 1) == 1);
  CHECK(histogram({}, std::nan("")) == 1);
  CHECK(refused(kPause, {Points{{1.5, 1}}, 0, 1}) == 1);  // no quantile
  CHECK(refused(kDisk, {Points{}, 0, 1}, {"a", "b"}) == 1);
  SampleBatch batch;
  batch.add(kWait, 1, {"sda"});
  CHECK(render(batch).refused == 1);
}

TEST_CASE("no family may be called like a part of a histogram") {
  SampleBatch batch;
  batch.add(batch.describe({"omnitide_wait_seconds_count", "", "", MetricType::gauge, {}}), 1);
  batch.add(kWait, model::Distribution{}, std::array<std::string_view, 1>{"sda"});
  const metrics::Rendered out = render(batch);
  CHECK(out.refused == 1);
  CHECK(out.text.find("gauge") == std::string::npos);
}

TEST_CASE("a text that would be too long ends with a whole family") {
  SampleBatch batch;
  batch.add(kPlain, 1);
  batch.add(kDisk, 1, {"sda", "up"});
  std::string text;
  const std::array<const SampleBatch*, 1> batches{&batch};
  const metrics::RenderCounts counts = metrics::render(
      batches, TextFormat::openmetrics, [&text](std::string_view piece) { text += piece; }, 10);
  CHECK(counts.samples == 1);
  CHECK(counts.refused == 1);
  CHECK(text.ends_with("omnitide_a_total 1\n# EOF\n"));
}
