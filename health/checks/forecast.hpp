// When a quantity that shrinks will be used up: a straight line through what was seen of it.
#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "agent/base/clock.hpp"

namespace omnitide::health {

class Forecast {
 public:
  static constexpr std::size_t kPoints = 40;
  static constexpr std::chrono::seconds kEvery{60};  // two points are at least so far apart

  void add(double left, SteadyTime now);
  // How long it lasts from the last point on. Nothing: it does not shrink, not evenly enough to say, or it was watched
  // for less than ten minutes.
  [[nodiscard]] std::optional<std::chrono::seconds> lasts() const;

 private:
  struct Point {
    double left = 0;
    SteadyTime time{};
  };
  std::deque<Point> points_;
};

}  // namespace omnitide::health
