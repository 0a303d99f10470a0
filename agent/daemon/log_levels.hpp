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
  void configure(const config::LogConfig& config);  // ends what was set for a while
  // Zero: until the next configure().
  void set(log::Part part, log::Level level, std::chrono::seconds duration);
  void stop();

 private:
  boost::asio::io_context& context_;
  config::LogConfig configured_;
  std::array<std::unique_ptr<boost::asio::steady_timer>, log::kParts> timers_;
};

}  // namespace omnitide::daemon
