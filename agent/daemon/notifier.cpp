#include "agent/daemon/notifier.hpp"

#include <fmt/format.h>
#include <stdlib.h>
#include <time.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>

#include "agent/base/log.hpp"
#include "agent/base/shared_library.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;

namespace {

// libsystemd is loaded only where systemd listens.
class Systemd {
 public:
  Systemd() {
    if (::getenv("NOTIFY_SOCKET") == nullptr) return;
    SharedLibrary library(kLibSystemd);
    library.find("sd_notify", notify_);
    library.find("sd_watchdog_enabled", watchdog_enabled_);
    if (!library.good())
      log::warning(log::Part::agent, "libsystemd cannot be loaded, systemd is not told of readiness",
                   {{"reason", library.problem()}});
  }
  void notify(const std::string& state) const {
    if (notify_ != nullptr) notify_(0, state.c_str());
  }
  [[nodiscard]] std::uint64_t watchdog_usec() const {
    std::uint64_t usec = 0;
    return watchdog_enabled_ != nullptr && watchdog_enabled_(0, &usec) > 0 ? usec : 0;
  }

 private:
  int (*notify_)(int, const char*) = nullptr;
  int (*watchdog_enabled_)(int, std::uint64_t*) = nullptr;
};

const Systemd& systemd() {
  static const Systemd loaded;
  return loaded;
}

}  // namespace

void Notifier::ready(const std::string& status) { systemd().notify("READY=1\nSTATUS=" + status); }
void Notifier::status(const std::string& text) { systemd().notify("STATUS=" + text); }
void Notifier::stopping() { systemd().notify("STOPPING=1"); }

void Notifier::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  systemd().notify(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1'000'000 + now.tv_nsec / 1000));
}

asio::awaitable<void> Notifier::feed() {
  const std::uint64_t usec = systemd().watchdog_usec();
  if (usec == 0) co_return;
  watchdog_ = true;
  while (!stopped_) {
    systemd().notify("WATCHDOG=1");
    timer_.expires_after(std::chrono::microseconds(usec / 3));
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

}  // namespace omnitide::daemon
