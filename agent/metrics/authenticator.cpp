#include "agent/metrics/authenticator.hpp"

#include <crypt.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"

namespace omnitide::metrics {

namespace {

constexpr std::size_t kMaxHeader = 4096;
constexpr std::size_t kMaxRemembered = 64;
constexpr int kMaxVerifying = 8;

// What follows a scheme, in any case of letters (RFC 9110, section 11.1).
std::optional<std::string_view> after_scheme(std::string_view header, std::string_view scheme) {
  if (header.size() > kMaxHeader || header.size() <= scheme.size() || header[scheme.size()] != ' ') return std::nullopt;
  if (to_lower(header.substr(0, scheme.size())) != scheme) return std::nullopt;
  return trim(header.substr(scheme.size()));
}

using CryptFunction = char* (*)(const char*, const char*, crypt_data*);

// libxcrypt, which has two names: its own, and where it took glibc's place the old one. Loaded with the first password.
// A libcrypt of glibc, which knows no bcrypt and writes four times as much, lacks crypt_checksalt.
CryptFunction crypt_function() {
  static const CryptFunction found = []() -> CryptFunction {
    constexpr std::array kNames{"libcrypt.so.2", "libcrypt.so.1"};
    for (const char* name : kNames) {
      void* library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (library == nullptr || ::dlsym(library, "crypt_checksalt") == nullptr) continue;
      if (void* function = ::dlsym(library, "crypt_r"); function != nullptr)
        return reinterpret_cast<CryptFunction>(function);
    }
    return nullptr;
  }();
  return found;
}

bool bcrypt_matches(const std::string& password, const std::string& hash) {
  const CryptFunction crypt = crypt_function();
  if (crypt == nullptr) return false;
  // 32 KiB: too much for a worker's stack to take lightly.
  const auto data = std::make_unique<crypt_data>();
  const char* made = crypt(password.c_str(), hash.c_str(), data.get());
  const bool matches = made != nullptr && io::constant_time_equal(made, hash);
  OPENSSL_cleanse(data.get(), sizeof(crypt_data));
  return matches;
}

}  // namespace

struct Authenticator::Credentials {
  std::string user, password;

  // RFC 7617. A NUL would end the password for crypt_r, and with it the comparison.
  static std::optional<Credentials> parse(std::string_view authorization) {
    const std::optional<std::string_view> encoded = after_scheme(authorization, "basic");
    if (!encoded) return std::nullopt;
    const std::optional<std::string> decoded = base64_decode(*encoded);
    if (!decoded || decoded->find('\0') != std::string::npos) return std::nullopt;
    const std::size_t colon = decoded->find(':');
    if (colon == std::string::npos) return std::nullopt;
    return Credentials{decoded->substr(0, colon), decoded->substr(colon + 1)};
  }
};

bool is_bcrypt_hash(std::string_view text) {
  if (text.size() != 60 || text.substr(0, 2) != "$2" || text[3] != '$' || text[6] != '$') return false;
  if (text[2] != 'a' && text[2] != 'b' && text[2] != 'y') return false;
  const std::optional<unsigned> cost = parse_number<unsigned>(text.substr(4, 2));
  return cost && *cost >= 4 && *cost <= 16 && std::all_of(text.begin() + 7, text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '/';
         });
}

bool can_verify_bcrypt() { return crypt_function() != nullptr; }

Authenticator::Authenticator(std::map<std::string, std::string> users, std::string bearer_token)
    : users_(std::move(users)), bearer_token_(std::move(bearer_token)), secret_(random_bytes(32)) {}

// The hash is part of it, so that a changed password ends what was remembered of the old one.
std::string Authenticator::cache_key(const Credentials& credentials) const {
  const auto user = users_.find(credentials.user);
  if (user == users_.end()) return {};
  return io::hmac_sha256(
      secret_, fmt::format("{}:{}{}{}", credentials.user.size(), credentials.user, user->second, credentials.password));
}

bool Authenticator::remembered(const std::string& key) {
  if (key.empty()) return false;
  const std::lock_guard lock(cache_mutex_);
  return std::any_of(good_.begin(), good_.end(),
                     [&key](const std::string& each) { return io::constant_time_equal(each, key); });
}

Authenticator::Verdict Authenticator::check(std::string_view authorization) {
  if (!required()) return Verdict::granted;
  if (!bearer_token_.empty()) {
    if (const auto token = after_scheme(authorization, "bearer"))
      return io::constant_time_equal(*token, bearer_token_) ? Verdict::granted : Verdict::denied;
  }
  if (users_.empty()) return Verdict::denied;
  const std::optional<Credentials> credentials = Credentials::parse(authorization);
  if (!credentials) return Verdict::denied;
  if (remembered(cache_key(*credentials))) return Verdict::granted;
  return verifying_.load() >= kMaxVerifying ? Verdict::busy : Verdict::unknown;
}

bool Authenticator::verify(std::string_view authorization) {
  const Verdict quick = check(authorization);
  if (quick == Verdict::granted) return true;
  const std::optional<Credentials> credentials = Credentials::parse(authorization);
  if (quick == Verdict::denied || users_.empty() || !credentials) return false;

  const auto user = users_.find(credentials->user);
  const std::string& hash = user == users_.end() ? users_.begin()->second : user->second;
  ++verifying_;
  bool matches = false;
  {
    const std::lock_guard lock(bcrypt_mutex_);
    matches = bcrypt_matches(credentials->password, hash);
  }
  --verifying_;
  if (!matches || user == users_.end()) return false;
  std::string key = cache_key(*credentials);
  if (!remembered(key)) {
    const std::lock_guard lock(cache_mutex_);
    if (good_.size() == kMaxRemembered) good_.pop_front();
    good_.push_back(std::move(key));
  }
  return true;
}

std::string Authenticator::challenge() const {
  if (users_.empty()) return "Bearer";
  return bearer_token_.empty() ? "Basic realm=\"omnitide\"" : "Basic realm=\"omnitide\", Bearer";
}

}  // namespace omnitide::metrics
