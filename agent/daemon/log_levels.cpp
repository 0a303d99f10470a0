#include "agent/daemon/log_levels.hpp"

namespace omnitide::daemon {

void LogLevels::configure(const config::LogConfig& config) {
  configured_ = config;
  for (std::size_t i = 0; i < log::kParts; ++i) {
    if (!timers_.at(i)) restore(static_cast<log::Part>(i));
  }
}

void LogLevels::restore(log::Part part) { log::set_level(part, configured_.levels.at(static_cast<std::size_t>(part))); }

void LogLevels::set(log::Part part, log::Level level, std::chrono::seconds duration) {
  auto& timer = timers_.at(static_cast<std::size_t>(part));
  timer.reset();
  log::set_level(part, level);
  if (duration.count() == 0) return;
  timer = std::make_unique<boost::asio::steady_timer>(context_, duration);
  timer->async_wait([this, part](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    timers_.at(static_cast<std::size_t>(part)).reset();
    restore(part);
  });
}

void LogLevels::stop() {
  for (auto& timer : timers_)
    timer.reset();
}

}  // namespace omnitide::daemon
