// What we write as OpenMetrics, by a strict reader; and that the reader is one.
#include "tests/harness/openmetrics.hpp"

#include <array>
#include <cmath>

#include "agent/metrics/render.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using model::MetricDescriptor;
using model::MetricType;
using model::SampleBatch;

namespace {

constexpr std::array<std::string_view, 1> kDevice{"device"};
constexpr MetricDescriptor kBytes{"node_rx_bytes_total", "bytes", "A \"quoted\" \\ help\nof two lines.",
                                  MetricType::counter, kDevice};
constexpr MetricDescriptor kOdd{"node_odd", "", "A counter without the ending.", MetricType::counter, {}};
constexpr MetricDescriptor kUntyped{"node_vmstat_pgfault", "", "", MetricType::unknown, {}};
constexpr MetricDescriptor kMemory{"node_memory_bytes", "bytes", "", MetricType::gauge, {}};
constexpr MetricDescriptor kMemoryTotal{"node_memory_bytes_total", "bytes", "", MetricType::counter, {}};
constexpr MetricDescriptor kRatio{"node_load1", "ratio", "", MetricType::gauge, {}};
constexpr MetricDescriptor kWait{"node_wait_seconds", "seconds", "", MetricType::histogram, kDevice};
constexpr MetricDescriptor kPause{"node_pause_seconds", "seconds", "", MetricType::summary, {}};

std::string text_of(const SampleBatch& batch) {
  const std::array batches{&batch};
  return metrics::render(batches, metrics::TextFormat::openmetrics).text;
}

const test::OpenFamily& family(const std::vector<test::OpenFamily>& all, std::string_view name) {
  for (const test::OpenFamily& one : all)
    if (one.name == name) return one;
  throw std::runtime_error("no family " + std::string(name));
}

void takes(const std::string& text) { CHECK_NOTHROW(test::parse_openmetrics(text + "# EOF\n")); }
void refuses(const std::string& text) { CHECK_THROWS(test::parse_openmetrics(text + "# EOF\n")); }

}  // namespace

TEST_CASE("every type passes a strict reader of OpenMetrics, with its unit") {
  const std::array<model::Distribution::Point, 2> buckets{{{0.001, 2}, {1, 5}}}, quantiles{{{0.5, 0.25}, {1, 3}}};
  const std::array<std::string_view, 1> odd{"a\"b\\c\nd\xff"};
  SampleBatch batch;
  batch.add(kBytes, 12, {odd[0]});
  batch.add(kBytes, 13, {"eth0"});
  batch.add(kOdd, 1);
  batch.add(kUntyped, 2);
  batch.add(kRatio, std::nan(""));
  batch.add(kWait, {buckets, 1.5, 7}, odd);
  batch.add(kWait, {buckets, 1.5, 7}, kDevice);
  batch.add(kPause, {quantiles, 4.5, 9}, {});
  const auto families = test::parse_openmetrics(text_of(batch));
  CHECK(families.size() == 6);
  const test::OpenFamily& bytes = family(families, "node_rx_bytes");
  CHECK(bytes.type == "counter");
  CHECK(bytes.unit == "bytes");
  CHECK(bytes.help == "A \"quoted\" \\ help\nof two lines.");
  CHECK(bytes.samples.at(0).name == "node_rx_bytes_total");
  CHECK(bytes.samples.at(0).labels.at("device") == "a\"b\\c\nd\xEF\xBF\xBD");
  CHECK(family(families, "node_odd").type == "unknown");
  CHECK(family(families, "node_vmstat_pgfault").type == "unknown");
  CHECK(family(families, "node_load1").unit.empty());
  const test::OpenFamily& wait = family(families, "node_wait_seconds");
  CHECK(wait.unit == "seconds");
  CHECK(wait.samples.size() == 10);
  CHECK(wait.samples.at(1).labels.at("le") == "1.0");
  CHECK(wait.samples.at(2).labels.at("le") == "+Inf");
  CHECK(family(families, "node_pause_seconds").samples.size() == 4);
}

TEST_CASE("a counter whose name without _total is taken is of type unknown in OpenMetrics") {
  SampleBatch batch;
  batch.add(kMemoryTotal, 1);
  batch.add(kMemory, 2);
  const auto families = test::parse_openmetrics(text_of(batch));
  CHECK(family(families, "node_memory_bytes").type == "gauge");
  CHECK(family(families, "node_memory_bytes_total").type == "unknown");
}

TEST_CASE("counters that OpenMetrics does not know are left out there") {
  SampleBatch batch;
  batch.add(kBytes, -1, {"a"});
  batch.add(kBytes, std::nan(""), {"b"});
  batch.add(kBytes, 1, {"c"});
  const std::array<const SampleBatch*, 1> batches{&batch};
  const metrics::Rendered out = metrics::render(batches, metrics::TextFormat::openmetrics);
  CHECK(out.refused == 2);
  CHECK(family(test::parse_openmetrics(out.text), "node_rx_bytes").samples.size() == 1);
  CHECK(metrics::render(batches).refused == 0);
}

TEST_CASE("the strict reader takes what the specification allows") {
  takes("");
  takes("a 1\n");
  takes("# TYPE a counter\na_total 1 1520879607.789 # {trace=\"x\"} 0.5 1520879607.1\na_created 1520872607.123\n");
  takes("# TYPE a histogram\na_bucket{le=\"1.0\"} 1 # {} 0.5\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 3\n");
  takes("# HELP a_seconds x\\\"y\n# UNIT a_seconds seconds\n# TYPE a_seconds gauge\na_seconds{b=\"\"} NaN\n");
  takes("# TYPE a info\na_info{v=\"1\"} 1\n");
}

TEST_CASE("the strict reader refuses what the specification forbids") {
  CHECK_THROWS(test::parse_openmetrics("a 1\n"));           // no end
  CHECK_THROWS(test::parse_openmetrics("# EOF"));           // without a line feed
  CHECK_THROWS(test::parse_openmetrics("# EOF\n# EOF\n"));  // twice
  CHECK_THROWS(test::parse_openmetrics("# EOF\na 1\n"));
  refuses("\n");
  refuses("# a comment here\n");
  refuses("a  1\n");
  refuses("a 1 \n");
  refuses("a{b=\"c\",} 1\n");
  refuses("a{b=\"c\", d=\"e\"} 1\n");
  refuses("a{b=\"c\",b=\"d\"} 1\n");
  refuses("a{b=\"\\t\"} 1\n");
  refuses("a{b=\"\xff\"} 1\n");
  refuses("1a 1\n");
  refuses("a 0x10\n");
  refuses("a 1\na 2\n");                                       // twice
  refuses("a 1\nb 1\na{x=\"y\"} 1\n");                         // interleaved
  refuses("# TYPE a counter\na 1\n");                          // no _total
  refuses("# TYPE a counter\na_total -1\n");                   // below zero
  refuses("# TYPE a counter\na_total NaN\n");                  // no number
  refuses("# TYPE a counter\n# TYPE a counter\na_total 1\n");  // metadata twice
  refuses("# TYPE a counter\na_total 1\n# HELP a late\n");     // metadata late
  refuses("# TYPE a untyped\na 1\n");                          // a type of the older format
  refuses("# TYPE a gauge\n# UNIT a seconds\na 1\n");          // unit not in the name
  refuses("# TYPE a gauge\na 1\n# TYPE a_total gauge\na_total 1\n# TYPE a counter\n");
  refuses("# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 1\n");         // one sample of two families
  refuses("# TYPE a gauge\na 1 # {} 1\n");                                           // no place for an exemplar
  refuses("# TYPE a histogram\na_bucket{le=\"1\"} 1\na_bucket{le=\"+Inf\"} 1\n");    // 1 is not canonical
  refuses("# TYPE a histogram\na_bucket{le=\"1.0\"} 1\n");                           // no +Inf
  refuses("# TYPE a histogram\na_bucket{le=\"1.0\"} 2\na_bucket{le=\"+Inf\"} 1\n");  // falls
  refuses("# TYPE a histogram\na_bucket{le=\"2.0\"} 1\na_bucket{le=\"1.0\"} 1\na_bucket{le=\"+Inf\"} 1\n");
  refuses("# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\na_sum 1\n");  // counts differ
  refuses("# TYPE a histogram\na_bucket{le=\"1.0\"} 1 # {} 2\na_bucket{le=\"+Inf\"} 1\n");
  refuses("# TYPE a histogram\na_bucket{d=\"x\",le=\"+Inf\"} 1\na_bucket{d=\"y\",le=\"+Inf\"} 1\na_count{d=\"x\"} 1\n");
}
