// Memory errors and temperatures.
#include <fmt/format.h>

#include <memory>

#include "health/checks/checks.hpp"
#include "health/checks/disk_wear.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

using namespace std::chrono_literals;

// Errors that could not be corrected stay a fault until the next boot, when the kernel counts anew.
Finding look_at_memory(const Readings& readings) {
  std::string controller;
  double errors = 0;
  std::size_t read = 0;
  readings.each("node_edac_uncorrectable_errors_total", [&](const model::SampleView& sample) {
    ++read;
    if (sample.value <= errors) return;
    errors = sample.value;
    controller = label(sample, "controller");
  });
  if (read == 0) return unknown("no memory controller counts errors here");
  if (errors > 0)
    return bad(
        "UncorrectableMemoryErrors",
        fmt::format("memory controller {} has counted {:.0f} errors that could not be corrected", controller, errors),
        {{"controller", controller}, {"errors", fmt::format("{:.0f}", errors)}});
  return good("MemoryWithoutErrors", "no memory error that could not be corrected");
}

Finding look_at_temperature(const Readings& readings, double most) {
  std::string sensor;
  double worst = -1e9, at = 0, bound = 0;
  const auto consider = [&](std::string name, double celsius, double limit) {
    if (celsius - limit <= worst) return;
    worst = celsius - limit;
    sensor = std::move(name);
    at = celsius;
    bound = limit;
  };
  readings.each("node_hwmon_temp_celsius", [&](const model::SampleView& sample) {
    const std::string_view chip = label(sample, "chip"), name = label(sample, "sensor");
    double limit = most;
    readings.each("node_hwmon_temp_crit_celsius", [&](const model::SampleView& critical) {
      // Some firmwares give nonsense; a limit below 40 degrees is one.
      if (label(critical, "chip") == chip && label(critical, "sensor") == name && critical.value >= 40)
        limit = critical.value;
    });
    consider(fmt::format("{} {}", chip, name), sample.value, limit);
  });
  readings.each("node_thermal_zone_temp", [&](const model::SampleView& sample) {
    consider(fmt::format("zone {} {}", label(sample, "zone"), label(sample, "type")), sample.value, most);
  });
  if (sensor.empty()) return unknown("there is no sensor here");
  const std::string text = fmt::format("{} has {:.0f} of {:.0f} degrees", sensor, at, bound);
  if (worst >= 0) return bad("TemperatureCritical", text, {{"sensor", sensor}, {"celsius", fmt::format("{:.1f}", at)}});
  return good("TemperatureNormal", text);
}

}  // namespace

std::vector<Check> hardware_checks(const Thresholds& thresholds) {
  return {Check{"memory-errors",
                "MemoryErrors",
                "Memory errors that could not be corrected (EDAC)",
                60s,
                {1, 1},
                {"edac"},
                look_at_memory},
          Check{"disk-wear",
                "DiskWear",
                "Wear and warnings of disks (SMART), from the daily report",
                60s,
                {1, 1},
                {std::string(kDiskWearProbe)},
                [most = thresholds.disk_used_ratio](const Readings& readings) {
                  return look_at_disk_wear(readings, most);
                }},
          Check{"temperature",
                "TemperatureHigh",
                "Sensors at or above their critical temperature",
                15s,
                {2, 4},
                {"hwmon", "thermal_zone"},
                [most = thresholds.temperature_celsius](const Readings& readings) {
                  return look_at_temperature(readings, most);
                }}};
}

}  // namespace omnitide::health
