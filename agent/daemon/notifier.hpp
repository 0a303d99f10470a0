// systemd's readiness protocol, and its watchdog fed from the loop: a loop that hangs is restarted.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>

namespace omnitide::daemon {

class Notifier {
 public:
  explicit Notifier(boost::asio::io_context& context) : timer_(context) {}
  void ready(const std::string& status);
  void status(const std::string& text);
  void reloading();
  void stopping();
  // Feeds the watchdog at a third of WATCHDOG_USEC; returns at once when there is none. Also notes how late it woke:
  // the loop's lag.
  [[nodiscard]] boost::asio::awaitable<void> feed();
  void stop() {
    timer_.cancel();
    stopped_ = true;
  }
  [[nodiscard]] bool watchdog() const { return watchdog_; }

 private:
  boost::asio::steady_timer timer_;
  bool stopped_ = false, watchdog_ = false;
};

}  // namespace omnitide::daemon
