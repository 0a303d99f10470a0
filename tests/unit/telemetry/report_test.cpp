#include "agent/telemetry/report.hpp"

#include <cstdlib>
#include <limits>
#include <new>

#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::known;

namespace {

const WallTime kStart = test::at_ms(1'700'000'000'000);

struct Reporter {
  using Bands = std::vector<std::pair<std::string, std::string>>;
  explicit Reporter(const Bands& bands = {}, std::chrono::milliseconds silence = std::chrono::minutes(5))
      : report(parse_dead_bands(bands).value(), silence) {}
  // Whether a metric with this value is told, ten seconds after the last one.
  bool tells(MetricValue value, std::string name = "a", std::string device = "") {
    now += 10s;
    const std::vector<KnownMetric> all{known(1, std::move(device), std::move(name), std::move(value))};
    return !report.changes(all, now).empty();
  }
  ReportByException report;
  WallTime now = kStart;
};

}  // namespace

TEST_CASE("report: the first value is told, then changes only") {
  Reporter reporter;
  CHECK(reporter.tells(1.0));
  CHECK_FALSE(reporter.tells(1.0));
  CHECK(reporter.tells(1.0000001));
  CHECK_FALSE(reporter.tells(1.0000001));
}

TEST_CASE("report: texts, booleans and null are told at each change") {
  Reporter reporter(Reporter::Bands{{"*", "1000"}});
  CHECK(reporter.tells(std::string("a")));
  CHECK_FALSE(reporter.tells(std::string("a")));
  CHECK(reporter.tells(std::string("b")));
  CHECK(reporter.tells(true));
  CHECK(reporter.tells(false));
  CHECK_FALSE(reporter.tells(false));
  CHECK(reporter.tells(MetricValue{}));
  CHECK_FALSE(reporter.tells(MetricValue{}));
  CHECK(reporter.tells(1.0));
  CHECK_FALSE(reporter.tells(2.0));
}

TEST_CASE("report: an absolute dead band holds back small moves, and a slow drift is told") {
  Reporter reporter(Reporter::Bands{{"a", "0.5"}});
  CHECK(reporter.tells(20.0));
  CHECK_FALSE(reporter.tells(20.5));
  CHECK_FALSE(reporter.tells(19.5));
  CHECK(reporter.tells(20.51));
  int told = 0;
  for (int i = 1; i <= 100; ++i)
    told += reporter.tells(20.51 + 0.1 * i) ? 1 : 0;
  CHECK(told >= 16);
  CHECK(told <= 20);
}

TEST_CASE("report: a relative dead band is a part of the value last told") {
  Reporter reporter(Reporter::Bands{{"a", "2%"}});
  CHECK(reporter.tells(std::uint64_t{1000}));
  CHECK_FALSE(reporter.tells(std::uint64_t{1020}));
  CHECK_FALSE(reporter.tells(std::uint64_t{980}));
  CHECK(reporter.tells(std::uint64_t{1021}));
  CHECK(reporter.tells(std::int64_t{-1000}));
  CHECK_FALSE(reporter.tells(std::int64_t{-1020}));
  CHECK(reporter.tells(0.0));
  CHECK(reporter.tells(0.001));  // of nothing, each move is large
}

TEST_CASE("report: the first dead band that matches counts, by name or by device and name") {
  Reporter reporter(Reporter::Bands{{"disk:*/io", "10"}, {"io", "1"}, {"*", "100"}});
  CHECK(reporter.tells(0.0, "io"));
  CHECK(reporter.tells(2.0, "io"));
  CHECK_FALSE(reporter.tells(3.0, "io"));
  reporter.report.forget();
  CHECK(reporter.tells(0.0, "io", "disk:sda"));
  CHECK_FALSE(reporter.tells(10.0, "io", "disk:sda"));
  CHECK(reporter.tells(10.5, "io", "disk:sda"));
  reporter.report.set_dead_bands({});
  CHECK(reporter.tells(10.6, "io", "disk:sda"));
}

TEST_CASE("report: what does not change is told again after the longest silence") {
  Reporter reporter({}, 60s);
  CHECK(reporter.tells(1.0));
  for (int i = 0; i < 5; ++i)
    CHECK_FALSE(reporter.tells(1.0));
  CHECK(reporter.tells(1.0));
  CHECK_FALSE(reporter.tells(1.0));
  Reporter silent({}, 0s);
  CHECK(silent.tells(1.0));
  silent.now += std::chrono::hours(1000);
  CHECK_FALSE(silent.tells(1.0));
}

TEST_CASE("report: a clock that jumps back tells again rather than being silent for years") {
  Reporter reporter({}, 60s);
  CHECK(reporter.tells(1.0));
  reporter.now -= std::chrono::hours(24 * 365);
  CHECK(reporter.tells(1.0));
  CHECK_FALSE(reporter.tells(1.0));
}

TEST_CASE("report: numbers at the edges") {
  Reporter reporter(Reporter::Bands{{"a", "1"}});
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  CHECK(reporter.tells(kNan));
  CHECK_FALSE(reporter.tells(kNan));
  CHECK(reporter.tells(1.0));
  CHECK(reporter.tells(kNan));
  CHECK(reporter.tells(~std::uint64_t{0}));
  CHECK(reporter.tells(std::uint64_t{0}));
  CHECK_FALSE(reporter.tells(std::uint64_t{1}));
}

TEST_CASE("report: one report for each device, with times; what is gone is forgotten") {
  ReportByException report({}, 5min);
  const std::vector<KnownMetric> all{known(1, "", "a", 1.0), known(2, "disk:sda", "b", 2.0), known(3, "", "c", 3.0)};
  const std::vector<Report> first = report.changes(all, kStart);
  REQUIRE(first.size() == 2);
  CHECK(first[0].device.empty());
  CHECK(first[0].time == kStart);
  REQUIRE(first[0].values.size() == 2);
  CHECK(first[0].values[1].alias == 3);
  CHECK(first[0].values[1].value == MetricValue{3.0});
  CHECK(first[1].device == "disk:sda");
  CHECK(report.changes(all, kStart + 10s).empty());
  CHECK(report.changes({all.begin(), 1}, kStart + 20s).empty());
  CHECK(report.changes(all, kStart + 30s).size() == 2);  // 2 and 3 are new again
}

TEST_CASE("dead bands: what is none is refused with the words") {
  CHECK(parse_dead_bands(default_dead_bands()).has_value());
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  for (const char* const bad : {"", "x", "-1", "1 %", "%", "nan", "inf", "1e999", "1x"}) {
    const Pairs pairs{{"node_load1", bad}};
    const Result<std::vector<DeadBand>> read = parse_dead_bands(pairs);
    REQUIRE(read.has_error());
    CHECK(read.error().code == Code::invalid_argument);
    CHECK(read.error().message.find("node_load1") != std::string::npos);
  }
  CHECK(parse_dead_bands(Pairs{{"", "1"}}).has_error());
  CHECK(parse_dead_bands(Pairs(300, {"a", "1"})).has_error());
}

TEST_CASE("dead bands: the list that a host writes") {
  const Result<std::vector<DeadBand>> read = parse_dead_band_list("node_load*=2%, f/mode=idle=0.5");
  REQUIRE(read);
  CHECK(*read == std::vector<DeadBand>{{"node_load*", 0.02, true}, {"f/mode=idle", 0.5, false}});
  CHECK(dead_band_list(*read) == "node_load*=2%,f/mode=idle=0.5");
  CHECK(parse_dead_band_list("")->empty());
  for (const char* const bad : {"a", "a=", "=1", "a=1,", "a=1,,b=2", "a=x"})
    CHECK(parse_dead_band_list(bad).has_error());
}
