#include "agent/registry/nonce.hpp"

#include "agent/base/random.hpp"
#include "agent/io/crypto.hpp"

namespace omnitide::registry {

namespace {

// End of life in nanoseconds, big-endian; random bytes; MAC of both.
constexpr std::size_t kTimeBytes = 8, kRandomBytes = 8, kBody = kTimeBytes + kRandomBytes, kMac = 16,
                      kNonce = kBody + kMac;

std::uint64_t nanoseconds(SteadyTime time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count());
}

}  // namespace

Nonces::Nonces(std::chrono::milliseconds lifetime, std::size_t limit)
    : lifetime_(lifetime), limit_(limit), key_(random_bytes(32)), base_(random_u64() >> 2U) {}

std::string Nonces::mac(std::string_view body) const { return io::hmac_sha256(key_, body).substr(0, kMac); }

std::string Nonces::issue(SteadyTime now) const {
  const std::uint64_t end = base_ + nanoseconds(now + lifetime_);
  std::string nonce;
  for (unsigned shift = 64; shift != 0; shift -= 8)
    nonce += static_cast<char>((end >> (shift - 8)) & 0xFFU);
  nonce += random_bytes(kRandomBytes);
  nonce += mac(nonce);
  return nonce;
}

bool Nonces::ended(std::string_view nonce, SteadyTime now) const {
  std::uint64_t end = 0;
  for (const char byte : nonce.substr(0, kTimeBytes))
    end = end << 8U | static_cast<unsigned char>(byte);
  return end <= base_ + nanoseconds(now);
}

Result<> Nonces::check(std::string_view nonce, SteadyTime now) const {
  const bool ours = nonce.size() == kNonce && io::constant_time_equal(mac(nonce.substr(0, kBody)), nonce.substr(kBody));
  if (ours && !ended(nonce, now) && !used_.contains(nonce)) return {};
  Error error = fail(Code::unauthenticated, "the nonce is not known, was used or has ended")
                    .with_hint("ask POST /v1/nonce for a new one and sign that");
  error.field = "nonce";
  return error;
}

Result<> Nonces::consume(std::string_view nonce, SteadyTime now) {
  if (Result<> good = check(nonce, now); good.has_error()) return good;
  while (!used_.empty() && ended(*used_.begin(), now))
    used_.erase(used_.begin());
  if (used_.size() >= limit_) return fail(Code::resource_exhausted, "too many nonces were used in a short time");
  used_.emplace(nonce);
  return {};
}

}  // namespace omnitide::registry
