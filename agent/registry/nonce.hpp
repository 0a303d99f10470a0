// Server nonces for join, renewal and re-join: 32 bytes, used once, ended by time. A nonce carries its own end and the
// registry's MAC over it, so that asking for one costs no memory; only a used one is remembered, until its end. A
// restart makes a new key: then the client asks anew.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::registry {

class Nonces {
 public:
  // `limit`: how many used ones are remembered.
  Nonces(std::chrono::milliseconds lifetime, std::size_t limit);

  [[nodiscard]] std::string issue(SteadyTime now) const;
  // unauthenticated, with the field, unless it was issued here, lives and was not used.
  [[nodiscard]] Result<> check(std::string_view nonce, SteadyTime now) const;
  // check(), and marks it as used. Only for who has proved a credential: strangers must not be able to fill the table.
  // resource_exhausted when as many as the limit were used within a lifetime.
  [[nodiscard]] Result<> consume(std::string_view nonce, SteadyTime now);
  [[nodiscard]] std::size_t used() const { return used_.size(); }
  [[nodiscard]] std::chrono::milliseconds lifetime() const { return lifetime_; }

 private:
  [[nodiscard]] std::string mac(std::string_view body) const;
  [[nodiscard]] bool ended(std::string_view nonce, SteadyTime now) const;

  std::chrono::milliseconds lifetime_;
  std::size_t limit_;
  std::string key_;
  std::uint64_t base_;  // added to the time in a nonce: how long the machine is up is nobody's business
  std::set<std::string, std::less<>> used_;  // a nonce begins with its end: they stand in that order
};

}  // namespace omnitide::registry
