// Settings of health: what is checked, and what may be done about it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace omnitide::config {

struct HealthThresholds {
  std::uint32_t disk_space = 10, disk_inodes = 5, memory = 5;  // percent that must be left
  std::uint32_t use = 90;  // percent of processes, open files and tracked connections that may be in use
  std::chrono::milliseconds disk_lasts{4 * 3'600'000};
  std::chrono::milliseconds certificate{72 * 3'600'000};
  std::chrono::milliseconds registry{300'000};
};

struct RemediationConfig {
  bool enabled = true, dry_run = false;
  std::uint32_t restarts = 5, repeats = 3, actions = 10;  // in a day
  std::uint32_t vacuum_journal = 0;                       // MiB that are left of it; 0: off
  std::vector<std::string> clean;                         // "/var/cache/app 7d", see parse_cleaning()
  std::vector<std::string> reset_links;                   // names of devices
  std::string restart_resolver;                           // the unit; empty: off
  std::vector<std::string> reboot_for;                    // conditions
  std::vector<std::string> cordon_for;                    // conditions, with a cluster
  std::uint32_t cordon_slots = 1;                         // nodes of the fleet that may be cordoned at a time
  std::vector<std::string> windows;                       // "02:00-04:00", "Sun 02:00-04:00"; UTC
  std::string lock_file = "/etc/omnitide/health.lock";
};

// A check that the operator gives. What it looks at is one of these.
enum class CheckKind : std::uint8_t { command, http, tcp, grpc, file };
[[nodiscard]] std::string_view name(CheckKind kind);

struct HealthCheckConfig {
  std::string name, condition;
  CheckKind kind = CheckKind::command;
  std::vector<std::string> command;      // [0] is an absolute path
  std::string target;                    // a URL, HOST:PORT, unix:PATH or a file's path
  std::uint32_t status = 0;              // of HTTP; 0: 200 to 299
  std::string body;                      // must be in the answer; empty: anything
  std::string ca_file;                   // of HTTP and gRPC; empty: the system's CAs
  std::string service;                   // of gRPC; empty: the server as a whole
  bool tls = false;                      // of gRPC
  std::string certificate, key_file;     // with tls; empty: the client proves nothing
  std::string server_name;               // with tls; empty: the target's host
  std::chrono::milliseconds max_age{0};  // of a file; 0: it must only be there
  std::chrono::milliseconds interval{30'000}, timeout{5'000};
  std::uint32_t failures = 3, successes = 1;  // rounds in a row until it is believed
  std::string reason, message;                // while it is bad; empty: what was seen
};

struct HealthConfig {
  bool enabled = true;
  std::chrono::milliseconds interval{15'000};
  std::vector<std::string> exclude;  // names of checks
  HealthThresholds thresholds;
  bool kernel_log = true;
  std::uint32_t kernel_log_rate = 10'000;  // lines a second
  std::vector<std::string> rule_files;     // of node-problem-detector's form
  std::vector<std::string> units;          // watched, and restarted when they fail
  std::vector<HealthCheckConfig> checks;
  RemediationConfig remediation;
};

}  // namespace omnitide::config
