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
#include "agent/daemon/kernel_log_reader.hpp"
#include "agent/daemon/log_teller.hpp"
#include "health/checks/log_rules.hpp"

namespace omnitide::daemon {

class HealthKernelLog {
 public:
  struct Status {
    bool reading = false;
    std::string problem;
    std::uint64_t lines = 0, hits = 0, lost = 0;
    std::size_t rules = 0;
  };

  // The agent's own rules, and those of `rules` that are for the plugin kmsg.
  HealthKernelLog(boost::asio::io_context& context, const std::vector<health::LogRules>& rules,
                  std::uint32_t lines_per_second, LogTeller::Told told);

  // `next_sequence`: where an earlier run on the same boot ended; 0 at its first.
  [[nodiscard]] boost::asio::awaitable<void> run(std::uint64_t next_sequence, std::string path = "/dev/kmsg");
  void stop();

  [[nodiscard]] std::vector<health::Finding> defaults() const { return LogTeller::defaults(matcher_->rules()); }
  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] std::uint64_t next_sequence() const { return reader_ ? reader_->next_sequence() : next_; }

 private:
  void take(const health::KernelRecord& record, std::uint64_t lost);

  boost::asio::io_context& context_;
  std::uint32_t rate_;
  LogTeller teller_;
  Status status_;
  std::unique_ptr<health::LogMatcher> matcher_;
  std::unique_ptr<KernelLogReader> reader_;
  std::chrono::microseconds ignored_before_{0};  // events of before are told by nobody
  std::uint64_t next_ = 0;
  bool stopping_ = false;
};

}  // namespace omnitide::daemon
