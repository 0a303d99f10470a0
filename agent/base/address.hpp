// IP addresses and prefixes of both families in one form: sixteen bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2).
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide {

// Bits in front of an IPv4 address in the one form: what an IPv4 length is short of ours.
inline constexpr std::uint8_t kMappedBits = 96;

struct Address {
  std::array<std::uint8_t, 16> bytes{};  // network order
  auto operator<=>(const Address&) const = default;
  [[nodiscard]] bool is_v4() const;
};

// `length` counts bits of the sixteen bytes: an IPv4 /24 has 120. Bits behind it are zero.
struct Prefix {
  Address address;
  std::uint8_t length = 0;
  auto operator<=>(const Prefix&) const = default;
  [[nodiscard]] bool contains(const Address& other) const;  // of the same family: ::/0 has no IPv4 address
  [[nodiscard]] bool contains(const Prefix& other) const { return length <= other.length && contains(other.address); }
  [[nodiscard]] bool is_v4() const { return length >= kMappedBits && address.is_v4(); }
};

// Decimal dots without leading zeros, or RFC 4291 text without a zone. An IPv4-mapped IPv6 text is refused.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
// "10.0.0.0/8", "fd00::/48"; the length is required; host bits are masked.
[[nodiscard]] std::optional<Prefix> parse_prefix(std::string_view text);
[[nodiscard]] Prefix make_prefix(const Address& address, std::uint8_t length);  // masks the host bits
[[nodiscard]] Prefix all_v4();                                                  // 0.0.0.0/0
[[nodiscard]] Prefix host_prefix(const Address& address);                       // all 128 bits
// Whom a limit has to count as one: an IPv4 address, or the /64 of an IPv6 one, since whoever has one address of a /64
// can have them all (RFC 4291, 2.5.1; RFC 7934).
[[nodiscard]] Prefix holder_prefix(const Address& address);
[[nodiscard]] std::string format(const Address& address);
[[nodiscard]] std::string format(const Prefix& prefix);

}  // namespace omnitide
