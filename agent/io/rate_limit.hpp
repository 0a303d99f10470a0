// A bounded table of token buckets, one for each key (an address). The oldest idle key makes room for a new one.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "agent/base/clock.hpp"

namespace omnitide::io {

class RateLimiter {
 public:
  RateLimiter(double per_second, double burst, std::size_t keys) : rate_(per_second), burst_(burst), limit_(keys) {}
  // Nothing when the key may go on; else how long it should wait.
  [[nodiscard]] std::optional<std::chrono::milliseconds> refuse(const std::string& key, SteadyTime now);

 private:
  struct Bucket {
    double tokens;
    SteadyTime updated;
    std::list<std::string>::iterator age;
  };
  double rate_, burst_;
  std::size_t limit_;
  std::list<std::string> by_age_;  // least recently used first
  std::unordered_map<std::string, Bucket> buckets_;
};

}  // namespace omnitide::io
