// The values of one collection as the checks see them, and what they keep from one round to the next.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::health {

// A view: the batches outlive it.
class Readings {
 public:
  Readings(std::span<const model::SampleBatch* const> batches, SteadyTime time) : batches_(batches), time_(time) {}

  // Calls take(sample) for each sample of a family.
  void each(std::string_view family, const std::function<void(const model::SampleView&)>& take) const;
  // The first value of a family, or the first one whose label has this value.
  [[nodiscard]] std::optional<double> value(std::string_view family) const;
  [[nodiscard]] std::optional<double> value(std::string_view family, std::string_view label,
                                            std::string_view wanted) const;
  [[nodiscard]] SteadyTime time() const { return time_; }

 private:
  std::span<const model::SampleBatch* const> batches_;
  SteadyTime time_;
};

[[nodiscard]] std::string_view label(const model::SampleView& sample, std::string_view name);

// Counters' growth a second between two rounds. Bounded: names that were not seen in a round are forgotten.
class Rates {
 public:
  static constexpr std::size_t kMost = 4096;
  // Nothing at the first sight, after a reset, and when no time has passed.
  [[nodiscard]] std::optional<double> rate(const std::string& name, double total, SteadyTime now);
  void forget_older(SteadyTime than);

 private:
  struct Last {
    double total = 0;
    SteadyTime time{};
  };
  std::map<std::string, Last> last_;
};

}  // namespace omnitide::health
