// Rules that turn log lines into events and conditions, with the meaning that node-problem-detector gives its own
// (pkg/systemlogmonitor): a "temporary" rule makes an event, a "permanent" one a condition.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "health/checks/finding.hpp"
#include "health/checks/log_line.hpp"
#include "health/checks/log_pattern.hpp"

namespace omnitide::health {

struct LogRule {
  bool permanent = false;
  std::string condition;  // of a permanent one
  std::string reason;
  LogPattern pattern;
};

// Which log rules are for.
enum class LogPlugin : std::uint8_t { kmsg, journald, filelog };
struct LogOrigin {
  LogPlugin plugin = LogPlugin::kmsg;
  std::string identifier;                  // of the journal: SYSLOG_IDENTIFIER, "kubelet"
  std::string path;                        // of the file, or of the journal's folder; empty: the system's journal
  std::optional<LogLineForm> form;         // of the file's lines
  std::chrono::milliseconds look_back{0};  // from where on the log is read at first
};

// One source of rules: a file of node-problem-detector's, or the agent's own.
struct LogRules {
  LogOrigin origin;
  std::string source;             // "kernel-monitor"
  std::size_t buffer_lines = 10;  // lines that a pattern may span
  std::vector<Finding> defaults;  // what its conditions are while nothing matched
  std::vector<LogRule> rules;
};

inline constexpr std::size_t kMostLogRules = 512, kMostBufferLines = 100;

// The agent's own rules for the kernel's log.
[[nodiscard]] LogRules default_kernel_rules();

struct LogHit {
  const LogRule* rule = nullptr;  // of the matcher
  const LogRules* rules = nullptr;
  std::string line;  // the last one of the match
};

// Holds the last lines, and each new one against all rules. Not bounded in time by itself: who feeds it bounds that.
class LogMatcher {
 public:
  static constexpr std::size_t kLongestLine = 8192;  // bytes; the rest of a line is cut off

  explicit LogMatcher(std::vector<LogRules> rules);
  LogMatcher(const LogMatcher&) = delete;
  LogMatcher& operator=(const LogMatcher&) = delete;

  // The rules that match with this line; valid while the matcher lives.
  [[nodiscard]] std::vector<LogHit> take(std::string line);
  // Lines were lost: what came before does not stand next to what comes now.
  void interrupted() { lines_.clear(); }
  [[nodiscard]] const std::vector<LogRules>& rules() const { return rules_; }

 private:
  std::vector<LogRules> rules_;
  std::size_t most_lines_ = 1;
  bool several_ = false;           // whether some pattern may span lines
  std::deque<std::string> lines_;  // the last ones
};

}  // namespace omnitide::health
