#include "agent/registry/nonce.hpp"

#include "agent/base/random.hpp"

namespace omnitide::registry {

Result<std::string> NonceTable::issue(SteadyTime now) {
  forget(now);
  if (by_age_.size() >= limit_) return fail(Code::resource_exhausted, "too many nonces are in use");
  std::string nonce = random_bytes(32);
  live_.insert(nonce);
  by_age_.push_back({nonce, now + lifetime_});
  return nonce;
}

bool NonceTable::consume(std::string_view nonce, SteadyTime now) {
  forget(now);
  return live_.erase(std::string(nonce)) == 1;
}

void NonceTable::forget(SteadyTime now) {
  while (!by_age_.empty() && by_age_.front().ends <= now) {
    live_.erase(by_age_.front().nonce);
    by_age_.pop_front();
  }
}

}  // namespace omnitide::registry
