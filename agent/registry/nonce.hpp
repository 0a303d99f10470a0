// Server nonces for join, renewal and re-join: 32 random bytes, used once, ended by time. Kept in memory only: after a
// restart the client asks anew.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_set>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::registry {

class NonceTable {
 public:
  NonceTable(std::chrono::milliseconds lifetime, std::size_t limit) : lifetime_(lifetime), limit_(limit) {}

  // resource_exhausted when as many as the limit live.
  [[nodiscard]] Result<std::string> issue(SteadyTime now);
  // True once for each nonce that was issued and lives.
  [[nodiscard]] bool consume(std::string_view nonce, SteadyTime now);
  [[nodiscard]] std::size_t size() const { return live_.size(); }
  [[nodiscard]] std::chrono::milliseconds lifetime() const { return lifetime_; }

 private:
  struct Entry {
    std::string nonce;
    SteadyTime ends;
  };
  void forget(SteadyTime now);

  std::chrono::milliseconds lifetime_;
  std::size_t limit_;
  std::deque<Entry> by_age_;
  std::unordered_set<std::string> live_;
};

}  // namespace omnitide::registry
