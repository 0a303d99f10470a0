#include "agent/telemetry/quantile.hpp"

#include <cmath>
#include <random>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using Points = std::vector<model::Distribution::Point>;

namespace {

OwnDistribution own(Points points, double sum, double count) {
  OwnDistribution out;
  out.add({points, sum, count});
  return out;
}

// Buckets that double from 1 on, as the eBPF programs have them.
OwnDistribution of(const std::vector<double>& values) {
  Points points;
  double sum = 0;
  for (const double value : values)
    sum += value;
  for (double bound = 1; bound <= 1 << 20; bound *= 2) {
    double below = 0;
    for (const double value : values)
      below += value <= bound ? 1 : 0;
    points.push_back({bound, below});
  }
  return own(points, sum, static_cast<double>(values.size()));
}

}  // namespace

TEST_CASE("quantile: linear within the bucket, from the bound below it") {
  const OwnDistribution all = own({{1, 0}, {2, 10}, {4, 20}, {8, 20}}, 50, 20);
  CHECK(quantile(all, 0.5).value() == Approx(2));
  CHECK(quantile(all, 0.25).value() == Approx(1.5));
  CHECK(quantile(all, 0.75).value() == Approx(3));
  CHECK(quantile(all, 1.0).value() == Approx(4));
  CHECK(quantile(own({{8, 4}}, 0, 4), 0.5).value() == Approx(4));  // from 0
}

TEST_CASE("quantile: beyond the last bound it is that bound, without observations there is none") {
  CHECK(quantile(own({{1, 0}, {2, 1}}, 100, 4), 0.99).value() == Approx(2));
  CHECK_FALSE(quantile(own({{1, 0}, {2, 0}}, 0, 0), 0.5).has_value());
  CHECK_FALSE(quantile(own({}, 3, 3), 0.5).has_value());
}

TEST_CASE("quantile: is within a factor of two of the true one") {
  std::mt19937 random(7);
  std::lognormal_distribution<double> values(5, 2);
  std::vector<double> all;
  for (int i = 0; i < 20'000; ++i)
    all.push_back(1 + values(random));
  const OwnDistribution told = of(all);
  std::sort(all.begin(), all.end());
  for (const double q : {0.5, 0.99}) {
    const double truth = all[static_cast<std::size_t>(q * 20'000)];
    CHECK(quantile(told, q).value() > truth / 2);
    CHECK(quantile(told, q).value() < truth * 2);
  }
}

TEST_CASE("distributions: add up, also with other bounds") {
  OwnDistribution sum = own({{1, 1}, {2, 3}}, 4, 4);
  const Points same{{1, 2}, {2, 2}}, other{{2, 1}, {8, 5}};
  sum.add({same, 10, 3});
  CHECK(sum.points[0].value == 3);
  CHECK(sum.points[1].value == 5);
  CHECK(sum.count == 7);
  sum.add({other, 1, 6});
  REQUIRE(sum.points.size() == 3);
  CHECK(sum.points[0].value == 3);
  CHECK(sum.points[1].value == 6);
  CHECK(sum.points[2].value == 10);
  CHECK(sum.count == 13);
}

TEST_CASE("distributions: what came since, unless a counter went back") {
  const OwnDistribution before = own({{1, 1}, {2, 3}}, 4, 4), after = own({{1, 1}, {2, 8}}, 14, 9);
  const std::optional<OwnDistribution> between = after.since(before);
  REQUIRE(between.has_value());
  CHECK(between->points[1].value == 5);
  CHECK(between->count == 5);
  CHECK_FALSE(before.since(after).has_value());
  CHECK_FALSE(after.since(own({{1, 1}}, 1, 1)).has_value());
  CHECK_FALSE(after.since(own({{1, 2}, {2, 3}}, 4, 4)).has_value());  // one bucket alone went back
  CHECK_FALSE(after.since(own({{1, 1}, {3, 3}}, 4, 4)).has_value());
}
