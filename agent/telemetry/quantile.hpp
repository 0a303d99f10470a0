// Quantiles of a histogram's observations, as far as its buckets tell them.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "agent/model/sample_batch.hpp"

namespace omnitide::telemetry {

// A distribution with its own points, which several samples can be added up in.
struct OwnDistribution {
  std::vector<model::Distribution::Point> points;  // by rising bound, cumulative
  double sum = 0, count = 0;

  // The bounds of both need not be the same: what lies between is not known and stays in the next bucket of the union.
  void add(const model::Distribution& other);
  // What came since `earlier`; nothing when it cannot be one earlier than this (a counter went back, other bounds).
  [[nodiscard]] std::optional<OwnDistribution> since(const OwnDistribution& earlier) const;
};

// Linear within the bucket that holds the q-th observation, from the bound below it (0 under the first bound when that
// is positive) to its own: the same as histogram_quantile() of Prometheus. With bounds that double, an error is below a
// factor of two. Beyond the last bound it is that bound. Nothing without observations.
[[nodiscard]] std::optional<double> quantile(const OwnDistribution& distribution, double q);

}  // namespace omnitide::telemetry
