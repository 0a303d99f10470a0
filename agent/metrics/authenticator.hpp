// Basic and bearer authentication of the HTTP endpoint.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace omnitide::metrics {

// Whether a text is a bcrypt hash that can be verified in bearable time ($2a$, $2b$ or $2y$, cost 4 to 16).
[[nodiscard]] bool is_bcrypt_hash(std::string_view text);

// Whether libxcrypt is here, which verifies them. The first call loads it.
[[nodiscard]] bool can_verify_bcrypt();

// Safe to use from any thread. Good credentials are remembered (as an HMAC under a key of this process, 64 of them), so
// that a scraper costs one bcrypt, not one a scrape.
class Authenticator {
 public:
  enum class Verdict : std::uint8_t {
    granted,
    denied,   // answer 401 with challenge()
    unknown,  // only verify() can tell, which takes tens to hundreds of milliseconds: run it on a worker
    busy,     // too many verifications are under way: answer 503
  };

  // `users` maps names to bcrypt hashes; an empty token means that no bearer is accepted. Without both, all is granted.
  Authenticator(std::map<std::string, std::string> users, std::string bearer_token);

  // `authorization` is the value of the header of that name, empty when absent.
  [[nodiscard]] Verdict check(std::string_view authorization);
  // Whether the credentials are good, by bcrypt; one at a time. A name that does not exist takes as long as one that
  // does.
  [[nodiscard]] bool verify(std::string_view authorization);

  [[nodiscard]] bool required() const { return !users_.empty() || !bearer_token_.empty(); }
  [[nodiscard]] std::string challenge() const;  // for WWW-Authenticate

 private:
  struct Credentials;
  [[nodiscard]] std::string cache_key(const Credentials& credentials) const;
  [[nodiscard]] bool remembered(const std::string& key);

  const std::map<std::string, std::string> users_;
  const std::string bearer_token_;
  const std::string secret_;  // of cache_key
  std::mutex cache_mutex_, bcrypt_mutex_;
  std::deque<std::string> good_;  // newest last
  std::atomic<int> verifying_{0};
};

}  // namespace omnitide::metrics
