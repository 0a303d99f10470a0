// Events that repeat: the first of a kind passes, those after it are counted and told as one with the next that passes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/clock.hpp"

namespace omnitide::health {

class EventLimiter {
 public:
  static constexpr std::size_t kMostKinds = 256;

  // One of a kind in `period`, and `burst` of all kinds together in a minute.
  EventLimiter(std::chrono::milliseconds period, std::uint32_t burst) : period_(period), burst_(burst) {}

  // How many were held back since the last one that passed; nothing: this one is held back too.
  [[nodiscard]] std::optional<std::uint64_t> pass(const std::string& kind, SteadyTime now) {
    const bool known = kinds_.contains(kind);
    if (!known && kinds_.size() >= kMostKinds) forget(now);
    if (!known && kinds_.size() >= kMostKinds) return hold(nullptr);
    Kind& each = kinds_[kind];
    if (each.passed && now - each.last < period_) return hold(&each);
    if (now - minute_ >= std::chrono::minutes(1)) {
      minute_ = now;
      in_minute_ = 0;
    }
    if (in_minute_ >= burst_) return hold(&each);
    ++in_minute_;
    each.passed = true;
    each.last = now;
    return std::exchange(each.held, 0);
  }
  [[nodiscard]] std::uint64_t held() const { return held_; }  // of all kinds, since the start

 private:
  struct Kind {
    bool passed = false;
    SteadyTime last{};
    std::uint64_t held = 0;
  };
  std::optional<std::uint64_t> hold(Kind* kind) {
    if (kind != nullptr) ++kind->held;
    ++held_;
    return std::nullopt;
  }
  void forget(SteadyTime now) {
    std::erase_if(kinds_, [this, now](const auto& each) { return now - each.second.last >= period_; });
  }

  std::chrono::milliseconds period_;
  std::uint32_t burst_, in_minute_ = 0;
  SteadyTime minute_{};
  std::map<std::string, Kind> kinds_;
  std::uint64_t held_ = 0;
};

}  // namespace omnitide::health
