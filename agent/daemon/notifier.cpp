#include "agent/daemon/notifier.hpp"

#include <fmt/format.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace omnitide::daemon {

namespace asio = boost::asio;

void Notifier::ready(const std::string& status) { sd_notify(0, ("READY=1\nSTATUS=" + status).c_str()); }
void Notifier::status(const std::string& text) { sd_notify(0, ("STATUS=" + text).c_str()); }
void Notifier::stopping() { sd_notify(0, "STOPPING=1"); }

void Notifier::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notify(0, fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000).c_str());
}

asio::awaitable<void> Notifier::feed() {
  std::uint64_t usec = 0;
  if (sd_watchdog_enabled(0, &usec) <= 0) co_return;
  watchdog_ = true;
  while (!stopped_) {
    sd_notify(0, "WATCHDOG=1");
    timer_.expires_after(std::chrono::microseconds(usec / 3));
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace omnitide::daemon
