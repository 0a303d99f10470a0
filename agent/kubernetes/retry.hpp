// When a request that the API server did not take is made again: later and later, with full jitter, and not before the
// time that the server named. When the server was out of reach and is back, nothing is waited for but that time.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

#include "agent/base/backoff.hpp"

namespace omnitide::kubernetes {

class Retry {
 public:
  using Duration = Backoff::Duration;
  Retry(Duration first, Duration longest) : backoff_(first, longest) {}

  // How long to wait after a failure. Those that the server sent away together do not come back together: the jitter
  // comes on top of `asked`. A server that names a time is there: how often there was none before does not count.
  [[nodiscard]] Duration after(std::optional<Duration> asked, std::uint64_t random) {
    if (asked && !named_) backoff_.reset();
    named_ = asked.has_value();
    waits_ = !asked;
    return asked.value_or(Duration(0)) + backoff_.next(random);
  }
  void began() { waits_ = false; }  // the next request
  void took() {
    backoff_.reset();
    waits_ = named_ = false;
  }
  // Client::on_return: what fails now fails for the first time. True: the wait is over.
  [[nodiscard]] bool returned() {
    backoff_.reset();
    return std::exchange(waits_, false);
  }
  [[nodiscard]] unsigned failures() const { return backoff_.attempts(); }

 private:
  Backoff backoff_;
  bool waits_ = false;  // for no time that the server named
  bool named_ = false;  // one, at the last failure
};

}  // namespace omnitide::kubernetes
