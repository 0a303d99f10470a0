// The kernel's log as findings and events: reads it, holds it against the rules, tells what hit. On the loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/config/health_config.hpp"
#include "agent/daemon/kernel_log_reader.hpp"
#include "health/checks/condition_store.hpp"
#include "health/checks/event_limiter.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

class HealthKernelLog {
 public:
  struct Event {
    std::string source, reason, line;
    std::uint64_t held_back = 0;  // of the same kind, before this one
  };
  struct Status {
    bool reading = false;
    std::string problem;
    std::uint64_t lines = 0, hits = 0, lost = 0;
    std::size_t rules = 0;
    std::vector<std::string> refused;  // rule files, each with its fault
  };
  struct Told {
    std::function<void(health::Finding)> finding;
    std::function<void(Event)> event;
    std::function<void()> problem;  // status() has another one
  };

  HealthKernelLog(boost::asio::io_context& context, const config::HealthConfig& config, Told told);

  // `next_sequence`: where an earlier run on the same boot ended; 0 at its first.
  [[nodiscard]] boost::asio::awaitable<void> run(std::uint64_t next_sequence, std::string path = "/dev/kmsg");
  void stop();

  // What its conditions are while nothing matched; the check of each is the source of its rules.
  [[nodiscard]] std::vector<health::Finding> defaults() const;
  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] std::uint64_t next_sequence() const { return reader_ ? reader_->next_sequence() : next_; }

 private:
  void take(const health::KernelRecord& record, std::uint64_t lost);

  boost::asio::io_context& context_;
  std::uint32_t rate_;
  Told told_;
  Status status_;
  std::unique_ptr<health::LogMatcher> matcher_;
  std::unique_ptr<KernelLogReader> reader_;
  health::EventLimiter limiter_;
  std::chrono::microseconds ignored_before_{0};  // events of before are told by nobody
  std::uint64_t next_ = 0;
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
