// Settings of health: what is checked, and what may be done about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace omnitide::config {

struct HealthThresholds {
  std::uint32_t disk_space = 10, disk_inodes = 5, memory = 5;  // percent that must be left
  std::uint32_t use = 90;  // percent of processes, open files and tracked connections that may be in use
  std::chrono::milliseconds disk_lasts{4 * 3'600'000};
  std::chrono::milliseconds certificate{72 * 3'600'000};
};

struct RemediationConfig {
  bool enabled = true, dry_run = false;
  std::uint32_t restarts = 5, actions = 10;  // in a day
  std::vector<std::string> reboot_for;       // conditions
  std::vector<std::string> windows;          // "02:00-04:00", "Sun 02:00-04:00"; UTC
  std::string lock_file = "/etc/omnitide/health.lock";
};

struct HealthConfig {
  bool enabled = true;
  std::chrono::milliseconds interval{15'000};
  std::vector<std::string> exclude;  // names of checks
  HealthThresholds thresholds;
  bool kernel_log = true;
  std::uint32_t kernel_log_rate = 1'000;  // lines a second
  std::vector<std::string> rule_files;    // of node-problem-detector's form
  std::vector<std::string> units;         // watched, and restarted when they fail
  RemediationConfig remediation;
};

}  // namespace omnitide::config
