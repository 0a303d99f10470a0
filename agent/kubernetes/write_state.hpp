// When something that the agent keeps in the cluster is written: at once when it is to say something else, from time to
// time anew, in case somebody took it away, and after a failure later and later. Without I/O.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/kubernetes/retry.hpp"

namespace omnitide::kubernetes {

class WriteState {
 public:
  using Duration = std::chrono::milliseconds;
  struct Limits {
    Duration first_wait{1'000}, longest_wait{300'000};  // after failures, with full jitter
    Duration anew{600'000};                             // at the latest, half of it at the earliest
    Duration least{5'000};                              // between two writes: what changes in a burst is one
  };
  explicit WriteState(Limits limits) : limits_(limits), retry_(limits.first_wait, limits.longest_wait) {}

  // What is to hold. The same as before changes nothing.
  void want(std::string body) {
    if (wanted_ && *wanted_ == body) return;
    wanted_ = std::move(body);
    dirty_ = true;
  }
  void want_nothing() { wanted_.reset(); }
  [[nodiscard]] const std::string& body() const { return *wanted_; }

  // When it is to be written next; nothing: there is nothing to write.
  [[nodiscard]] std::optional<SteadyTime> due() const {
    if (!wanted_) return std::nullopt;
    if (failed_) return again_;
    if (!written_) return SteadyTime::min();
    return dirty_ ? *written_ + limits_.least : anew_;
  }
  [[nodiscard]] bool due(SteadyTime now) const { return due().has_value() && *due() <= now; }

  // Of the write whose body() was taken; a want() meanwhile stays to be written.
  void began() {
    dirty_ = false;
    retry_.began();
  }
  void wrote(SteadyTime now, std::uint64_t random) {
    retry_.took();
    failed_ = false;
    written_ = now;
    const auto half = limits_.anew / 2;
    anew_ = now + half + Duration(static_cast<std::int64_t>(random % static_cast<std::uint64_t>(half.count() + 1)));
  }
  // `asked`: what the server asked for.
  void failed(SteadyTime now, std::uint64_t random, std::optional<std::chrono::seconds> asked = {}) {
    failed_ = dirty_ = true;
    again_ = now + retry_.after(asked, random);
  }
  void returned(SteadyTime now) {
    if (retry_.returned()) again_ = std::min(again_, now);
  }
  // Whatever was written is there no more.
  void forget() {
    written_.reset();
    failed_ = false;
  }
  [[nodiscard]] bool never_written() const { return wanted_.has_value() && !written_; }
  [[nodiscard]] bool holds() const { return written_.has_value() && !failed_ && !dirty_; }

 private:
  Limits limits_;
  Retry retry_;
  std::optional<std::string> wanted_;
  std::optional<SteadyTime> written_;
  SteadyTime again_{}, anew_{};
  bool dirty_ = false, failed_ = false;
};

}  // namespace omnitide::kubernetes
