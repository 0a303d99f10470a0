// Report by exception: which metrics changed enough to be told.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/metric_set.hpp"

namespace omnitide::telemetry {

// A number that moved by no more than this from what was last told is not told again.
struct DeadBand {
  std::string glob;  // of the name; with a device "disk:sda/NAME" as well
  double width = 0;  // in the metric's unit, or a part of the last told value
  bool relative = false;
  bool operator==(const DeadBand&) const = default;
};

// Glob and "0.5" or "2%" each. invalid_argument names the pair that is wrong.
[[nodiscard]] Result<std::vector<DeadBand>> parse_dead_bands(
    std::span<const std::pair<std::string, std::string>> bands);
// "node_load*=2%,node_hwmon_temp_celsius*=0.5": what a host writes to Node Control/Dead Band.
[[nodiscard]] Result<std::vector<DeadBand>> parse_dead_band_list(std::string_view text);
[[nodiscard]] std::string dead_band_list(std::span<const DeadBand> bands);
// For what trembles all the time.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> default_dead_bands();

// Numbers are compared with the value last told, not with the last seen, so that a slow drift is told. Texts, booleans
// and null are told at each change. Nothing is allocated for a metric that does not change.
class ReportByException {
 public:
  // The first dead band whose glob matches counts; without one each change is told. A metric that does not change is
  // told again after `max_silence`; zero: never.
  ReportByException(std::vector<DeadBand> bands, std::chrono::milliseconds max_silence);

  // `all` is everything that is known now; what is not in it is forgotten. One report for each device with a change, in
  // the order of `all`.
  [[nodiscard]] std::vector<Report> changes(std::span<const KnownMetric> all, WallTime time);
  void set_dead_bands(std::vector<DeadBand> bands);
  void forget() { told_.clear(); }  // the next call tells all

 private:
  struct Told {
    MetricValue value;
    WallTime at{};
    double width = 0;
    bool relative = false;
    std::uint64_t round = 0;  // of the last call that had the metric
  };
  void find_band(const NamedMetric& metric, Told& told) const;
  [[nodiscard]] bool is_due(const Told& told, const MetricValue& value, WallTime time) const;

  std::vector<DeadBand> bands_;
  std::chrono::milliseconds max_silence_;
  std::unordered_map<std::uint64_t, Told> told_;
  std::uint64_t round_ = 0;
};

}  // namespace omnitide::telemetry
