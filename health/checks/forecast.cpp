#include "health/checks/forecast.hpp"

namespace omnitide::health {

namespace {

constexpr std::chrono::minutes kWatched{10};
constexpr double kStraight = 0.8;  // coefficient of determination from which a line is believed
constexpr double kLongest = 365.0 * 86400;

}  // namespace

void Forecast::add(double left, SteadyTime now) {
  if (!points_.empty() && now - points_.back().time < kEvery) return;
  points_.push_back({left, now});
  if (points_.size() > kPoints) points_.pop_front();
}

std::optional<std::chrono::seconds> Forecast::lasts() const {
  if (points_.size() < 3 || points_.back().time - points_.front().time < kWatched) return std::nullopt;
  double sum_t = 0, sum_y = 0, sum_tt = 0, sum_ty = 0, sum_yy = 0;
  for (const Point& point : points_) {
    const double t = std::chrono::duration<double>(point.time - points_.back().time).count();
    sum_t += t;
    sum_y += point.left;
    sum_tt += t * t;
    sum_ty += t * point.left;
    sum_yy += point.left * point.left;
  }
  const auto n = static_cast<double>(points_.size());
  const double tt = n * sum_tt - sum_t * sum_t, ty = n * sum_ty - sum_t * sum_y, yy = n * sum_yy - sum_y * sum_y;
  if (tt <= 0 || yy <= 0 || ty >= 0 || ty * ty < kStraight * tt * yy) return std::nullopt;
  const double seconds = points_.back().left / -(ty / tt);
  if (seconds > kLongest) return std::nullopt;
  return std::chrono::seconds(static_cast<std::int64_t>(seconds));
}

}  // namespace omnitide::health
