// The checks of the node: each looks at the values of one collection and says what it finds of one condition. What they
// look at is measured by discovery/collectors and by the probes of this room.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "health/checks/condition_store.hpp"
#include "health/checks/finding.hpp"
#include "health/checks/readings.hpp"

namespace omnitide::health {

// From when on something is a fault. Percentages are of the whole.
struct Thresholds {
  double disk_percent = 10;                     // free space below this
  double inode_percent = 5;                     // free inodes below this
  std::chrono::seconds disk_lasts{4 * 3600};    // a filesystem that will be full within this
  double memory_stall_percent = 10;             // of the time no task could go on for want of memory (PSI)
  double memory_percent = 5;                    // available memory below this
  double use_percent = 90;                      // of processes, open files, connections tracked, above this
  double link_errors = 10;                      // a second, of one device
  std::chrono::milliseconds clock_error{1000};  // the clock is off by more
  double disk_used_ratio = 0.9;                 // of a disk's rated life
  double temperature_celsius = 95;              // where the sensor names no limit of its own
  std::chrono::seconds certificate_lasts{72 * 3600};
  std::chrono::seconds registry_silent{300};
  std::chrono::milliseconds loop_lag{1000};  // of the agent's own loop
  double agent_bytes = 192.0 * (1U << 20U);  // resident memory of the agent
};

struct Check {
  std::string_view name, condition;
  std::string_view what;               // for people, without a full stop
  std::chrono::milliseconds interval;  // it is due when so much has passed
  Hysteresis hysteresis;
  std::vector<std::string> collectors;  // those that it needs
  // What it keeps between rounds is its own. Condition and check of the finding are put in by evaluate() below.
  std::function<Finding(const Readings&)> look;

  [[nodiscard]] Finding evaluate(const Readings& readings) const;
};

// All of them. `suspects`: mount points that an earlier run of the agent saw turn read-only.
[[nodiscard]] std::vector<Check> node_checks(const Thresholds& thresholds, const std::vector<std::string>& suspects);

// Families of one check, one function a file's subject; inside of the room.
[[nodiscard]] std::vector<Check> filesystem_checks(const Thresholds& thresholds,
                                                   const std::vector<std::string>& suspects);
[[nodiscard]] std::vector<Check> resource_checks(const Thresholds& thresholds);
[[nodiscard]] std::vector<Check> network_checks(const Thresholds& thresholds);
[[nodiscard]] std::vector<Check> hardware_checks(const Thresholds& thresholds);
[[nodiscard]] std::vector<Check> agent_checks(const Thresholds& thresholds);

[[nodiscard]] Finding good(std::string reason, std::string message);
[[nodiscard]] Finding bad(std::string reason, std::string message, Evidence evidence);
[[nodiscard]] Finding unknown(std::string message);
[[nodiscard]] std::string percent(double value);  // "2.1 %"

}  // namespace omnitide::health
