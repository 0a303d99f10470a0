#include "agent/cli/metrics_text.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::cli;

TEST_CASE("a pattern is a part of the name, or with * and ? all of it") {
  CHECK(matches("", "node_load1"));
  CHECK(matches("load", "node_load1"));
  CHECK_FALSE(matches("load2", "node_load1"));
  CHECK(matches("node_*", "node_load1"));
  CHECK(matches("*load?", "node_load1"));
  CHECK(matches("*_*_total", "node_cpu_seconds_total"));
  CHECK_FALSE(matches("load*", "node_load1"));
  CHECK_FALSE(matches("node_load1?", "node_load1"));
  CHECK(matches("**", ""));
  CHECK_FALSE(matches("?", ""));
  CHECK_FALSE(matches(std::string(200, '*') + "b", std::string(2000, 'a')));
}

TEST_CASE("quantiles of a histogram lie on lines between its bounds") {
  const MetricValue waits{.labels = {}, .value = 0, .points = {{1, 10}, {2, 20}, {4, 20}}, .sum = 0, .count = 40};
  CHECK(quantile(waits, 0.25).value() == Approx(1));
  CHECK(quantile(waits, 0.125).value() == Approx(0.5));
  CHECK(quantile(waits, 0.375).value() == Approx(1.5));
  CHECK(quantile(waits, 0.99).value() == Approx(4));  // beyond the last bound
  CHECK_FALSE(quantile({}, 0.5));
}

TEST_CASE("metrics are shown with what they mean, their unit, labels and values") {
  MetricSet set;
  set["node_memory_bytes"] = {"node_memory_bytes", "gauge", "bytes", "Memory.", {}};
  set["node_memory_bytes"].values.push_back({.labels = {}, .value = 2097152, .points = {}});
  set["x_seconds"] = {"x_seconds", "histogram", "seconds", "How long\x1b[2J.", {}};
  set["x_seconds"].values.push_back(
      {.labels = {{"device", "sda"}, {"op", ""}}, .points = {{0.001, 5}, {0.002, 10}}, .sum = 0.01, .count = 10});
  set["x_total"] = {"x_total", "counter", "", "", {}};
  set["x_total"].values.push_back({.labels = {{"a", "b"}}, .value = 0.25, .points = {}});
  CHECK(metrics_text(set, {}) ==
        "node_memory_bytes  gauge, bytes\n"
        "  Memory.\n"
        "    2097152  (2 MiB)\n"
        "\n"
        "x_seconds  histogram, seconds\n"
        "  How long\\x1b[2J.\n"
        "    device=sda op=\"\"  10 times, mean 1.0ms, p50 1.0ms, p90 1.8ms, p99 2.0ms\n"
        "\n"
        "x_total  counter\n"
        "    a=b  0.25\n");
}

TEST_CASE("numbers for people") {
  CHECK(seconds_text(0) == "0us");
  CHECK(seconds_text(0.0000123) == "12us");
  CHECK(seconds_text(0.0012) == "1.2ms");
  CHECK(seconds_text(3.44) == "3.4s");
  CHECK(count_text(0.2) == "0.2");
  CHECK(count_text(1234) == "1.2k");
  CHECK(count_text(3.4e6) == "3.4M");
}
