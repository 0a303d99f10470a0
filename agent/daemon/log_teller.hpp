// What rules found in a log, as findings and events; events of one kind are told once in a while. On the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "health/checks/event_limiter.hpp"
#include "health/checks/finding.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

struct LogEvent {
  std::string source, reason, line;
  std::uint64_t held_back = 0;  // of the same kind, before this one
};

class LogTeller {
 public:
  struct Told {
    std::function<void(health::Finding)> finding;
    std::function<void(LogEvent)> event;
    std::function<void()> problem;  // the log's status has another one
  };
  explicit LogTeller(Told told);

  // `place`: what evidence says of where the line stands in its log; `old`: events are told by nobody any more.
  void tell(const health::LogHit& hit, std::pair<std::string, std::string> place, bool old);
  void problem() const { told_.problem(); }

  // What the conditions of a rule file are while nothing matched; the check of each is the source of its rules.
  [[nodiscard]] static std::vector<health::Finding> defaults(const std::vector<health::LogRules>& rules);

 private:
  Told told_;
  health::EventLimiter limiter_;
};

}  // namespace omnitide::daemon
