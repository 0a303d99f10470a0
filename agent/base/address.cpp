#include "agent/base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "agent/base/text.hpp"

namespace omnitide {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr std::size_t kLongestText = 64;

}  // namespace

bool Address::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes.begin()); }

bool Prefix::contains(const Address& other) const {
  if (length < kMappedBits && other.is_v4()) return false;
  return make_prefix(other, length).address == address;
}

Prefix all_v4() {
  Address address;
  std::ranges::copy(kMapped, address.bytes.begin());
  return {.address = address, .length = kMappedBits};
}

std::optional<Address> parse_address(std::string_view text) {
  if (text.size() > kLongestText || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  Address address;
  if (in_addr v4{}; inet_pton(AF_INET, terminated.c_str(), &v4) == 1) {
    std::copy(kMapped.begin(), kMapped.end(), address.bytes.begin());
    std::memcpy(&address.bytes[kMapped.size()], &v4, sizeof v4);
    return address;
  }
  if (in6_addr v6{}; inet_pton(AF_INET6, terminated.c_str(), &v6) == 1) {
    std::memcpy(address.bytes.data(), &v6, sizeof v6);
    if (address.is_v4()) return std::nullopt;
    return address;
  }
  return std::nullopt;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_address(text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  const auto length = parse_number<std::uint8_t>(digits);
  if (!address || !length || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  if (*length > (address->is_v4() ? 32 : 128)) return std::nullopt;
  return make_prefix(*address, static_cast<std::uint8_t>(address->is_v4() ? *length + kMappedBits : *length));
}

Prefix make_prefix(const Address& address, std::uint8_t length) {
  Prefix prefix{address, std::min<std::uint8_t>(length, 128)};
  for (std::size_t i = 0; i < prefix.address.bytes.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(prefix.length) - static_cast<int>(i) * 8, 0, 8);
    prefix.address.bytes[i] &= static_cast<std::uint8_t>(0xff00U >> static_cast<unsigned>(kept));
  }
  return prefix;
}

Prefix host_prefix(const Address& address) { return Prefix{address, 128}; }

Prefix holder_prefix(const Address& address) {
  return address.is_v4() ? host_prefix(address) : make_prefix(address, 64);
}

std::string format(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.is_v4()) {
    inet_ntop(AF_INET, &address.bytes[kMapped.size()], text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  }
  return text.data();
}

std::string format(const Prefix& prefix) {
  const bool v4 = prefix.is_v4();
  return format(prefix.address) + "/" + std::to_string(v4 ? prefix.length - kMappedBits : prefix.length);
}

}  // namespace omnitide
