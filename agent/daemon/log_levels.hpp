// Log levels as configured, and as changed at run time for a while.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>

#include "agent/base/log.hpp"
#include "agent/config/config.hpp"

namespace omnitide::daemon {

class LogLevels {
 public:
  explicit LogLevels(boost::asio::io_context& context) : context_(context) {}
  // What was set for a while goes on until its time; then the part takes its level of this configuration.
  void configure(const config::LogConfig& config);
  // Zero: until the next configure().
  void set(log::Part part, log::Level level, std::chrono::seconds duration);
  void stop();

 private:
  void restore(log::Part part);

  boost::asio::io_context& context_;
  config::LogConfig configured_;
  std::array<std::unique_ptr<boost::asio::steady_timer>, log::kParts> timers_;  // of what is set for a while
};

}  // namespace omnitide::daemon
