#include "agent/telemetry/quantile.hpp"

#include <algorithm>
#include <cstddef>

namespace omnitide::telemetry {

void OwnDistribution::add(const model::Distribution& other) {
  sum += other.sum;
  count += other.count;
  const auto same_bound = [](const auto& a, const auto& b) { return a.at == b.at; };
  if (points.empty()) {
    // Nothing was added before, or only what has no bounds.
    points.assign(other.points.begin(), other.points.end());
    return;
  }
  if (std::ranges::equal(points, other.points, same_bound)) {
    for (std::size_t i = 0; i < points.size(); ++i)
      points[i].value += other.points[i].value;
    return;
  }
  std::vector<model::Distribution::Point> merged;
  double mine = 0, theirs = 0;
  std::size_t a = 0, b = 0;
  while (a < points.size() || b < other.points.size()) {
    const bool from_mine = b == other.points.size() || (a < points.size() && points[a].at <= other.points[b].at);
    const double at = from_mine ? points[a].at : other.points[b].at;
    if (a < points.size() && points[a].at == at) mine = points[a++].value;
    if (b < other.points.size() && other.points[b].at == at) theirs = other.points[b++].value;
    merged.push_back({at, mine + theirs});
  }
  points = std::move(merged);
}

std::optional<OwnDistribution> OwnDistribution::since(const OwnDistribution& earlier) const {
  if (earlier.points.size() != points.size() || earlier.count > count) return std::nullopt;
  OwnDistribution out{points, sum - earlier.sum, count - earlier.count};
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (earlier.points[i].at != points[i].at || earlier.points[i].value > points[i].value) return std::nullopt;
    out.points[i].value -= earlier.points[i].value;
  }
  return out;
}

std::optional<double> quantile(const OwnDistribution& distribution, double q) {
  if (!(distribution.count > 0) || distribution.points.empty()) return std::nullopt;
  const double rank = q * distribution.count;
  double below = 0, bound = distribution.points.front().at > 0 ? 0 : distribution.points.front().at;
  for (const model::Distribution::Point& point : distribution.points) {
    if (point.value >= rank && point.value > below)
      return bound + (point.at - bound) * ((rank - below) / (point.value - below));
    below = point.value;
    bound = point.at;
  }
  return distribution.points.back().at;
}

}  // namespace omnitide::telemetry
