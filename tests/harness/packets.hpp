// Packets as bytes, made readable: tcp4("10.0.0.1", 40000, "10.0.0.2", 80, "S").
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "agent/base/address.hpp"

namespace omnitide::test {

using Bytes = std::string;

inline void put(Bytes& out, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes)
    out.push_back(static_cast<char>(byte));
}
inline void put16(Bytes& out, unsigned value) { put(out, {value >> 8 & 255U, value & 255U}); }

inline Bytes address_bytes(std::string_view text) {
  const auto address = parse_address(text);
  if (!address) throw std::invalid_argument("no address: " + std::string(text));
  const auto* data = reinterpret_cast<const char*>(address->bytes.data());
  return address->is_v4() ? Bytes(data + 12, 4) : Bytes(data, 16);
}

inline Bytes ethernet(unsigned type, const Bytes& payload) {
  Bytes out;
  put(out, {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1});
  put16(out, type);
  return out + payload;
}
inline Bytes vlan(const Bytes& frame, unsigned tpid = 0x8100) {
  Bytes tag;
  put16(tag, tpid);
  put16(tag, 5);
  return frame.substr(0, 12) + tag + frame.substr(12);
}

struct V4 {
  std::string_view source, destination;
  unsigned protocol = 6;
  unsigned fragment = 0;  // the whole field: 0x2000 is more fragments, the rest the offset in units of 8
  unsigned id = 7;
  Bytes options = {};
};
inline Bytes ip4(const V4& head, const Bytes& payload) {
  Bytes out;
  const auto words = static_cast<unsigned>(5 + head.options.size() / 4);
  put(out, {0x40U | words, 0});
  put16(out, static_cast<unsigned>(words * 4 + payload.size()));
  put16(out, head.id);
  put16(out, head.fragment);
  put(out, {64, head.protocol, 0, 0});
  out += address_bytes(head.source) + address_bytes(head.destination) + head.options;
  return out + payload;
}

inline Bytes ip6(std::string_view source, std::string_view destination, unsigned next, const Bytes& payload,
                 unsigned hop_limit = 64) {
  Bytes out;
  put(out, {0x60, 0, 0, 0});
  put16(out, static_cast<unsigned>(payload.size()));
  put(out, {next, hop_limit});
  return out + address_bytes(source) + address_bytes(destination) + payload;
}
// A fragment header (RFC 8200, 4.5) in front of a payload; `offset` in units of 8.
inline Bytes fragment6(unsigned next, unsigned offset, bool more, const Bytes& payload) {
  Bytes out;
  put(out, {next, 0});
  put16(out, offset << 3 | (more ? 1U : 0U));
  put(out, {0, 0, 0, 9});
  return out + payload;
}
// Any other extension header of eight bytes.
inline Bytes extension6(unsigned next, const Bytes& payload, unsigned fourth = 0) {
  Bytes out;
  put(out, {next, 0, 0, fourth, 0, 0, 0, 0});
  return out + payload;
}

inline Bytes tcp(unsigned source, unsigned destination, std::string_view flags) {
  Bytes out;
  put16(out, source);
  put16(out, destination);
  unsigned bits = 0;
  for (const char flag : flags)
    bits |= flag == 'F' ? 1U : flag == 'S' ? 2U : flag == 'R' ? 4U : flag == 'A' ? 16U : 0U;
  put(out, {0, 0, 0, 1, 0, 0, 0, 0, 0x50, bits, 255, 255, 0, 0, 0, 0});
  return out;
}
inline Bytes udp(unsigned source, unsigned destination, const Bytes& payload = "data") {
  Bytes out;
  put16(out, source);
  put16(out, destination);
  put16(out, static_cast<unsigned>(8 + payload.size()));
  put16(out, 0);
  return out + payload;
}
inline Bytes icmp(unsigned type, unsigned code, unsigned id = 0, const Bytes& payload = "") {
  Bytes out;
  put(out, {type, code, 0, 0});
  put16(out, id);
  put16(out, 1);
  return out + payload;
}

inline Bytes tcp4(std::string_view source, unsigned from, std::string_view destination, unsigned to,
                  std::string_view flags) {
  return ethernet(0x0800, ip4({.source = source, .destination = destination}, tcp(from, to, flags)));
}
inline Bytes udp4(std::string_view source, unsigned from, std::string_view destination, unsigned to) {
  return ethernet(0x0800, ip4({.source = source, .destination = destination, .protocol = 17}, udp(from, to)));
}
inline Bytes tcp6(std::string_view source, unsigned from, std::string_view destination, unsigned to,
                  std::string_view flags) {
  return ethernet(0x86dd, ip6(source, destination, 6, tcp(from, to, flags)));
}
inline Bytes arp(std::string_view sender, std::string_view target) {
  Bytes out;
  put(out, {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1});
  out += address_bytes(sender);
  put(out, {0, 0, 0, 0, 0, 0});
  return ethernet(0x0806, out + address_bytes(target));
}

}  // namespace omnitide::test
