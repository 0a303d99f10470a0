// MQTT 3.1.1 and 5 as bytes, for a broker that tests play: what a client sends is read, what a broker answers is
// written. https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace omnitide::test::wire {

// Reads fields from the front; throws std::runtime_error beyond the end.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::string_view take(std::size_t count) {
    if (count > rest_.size()) throw std::runtime_error("the packet ends too early");
    const std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)[0]); }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8U | u8());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16U | u16();
  }
  std::string text() { return std::string(take(u16())); }
  std::uint32_t varint() {
    std::uint32_t out = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
      const std::uint8_t byte = u8();
      out |= static_cast<std::uint32_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return out;
    }
    throw std::runtime_error("a length has more than four bytes");
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

inline std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8U & 0xFFU), static_cast<char>(value & 0xFFU)};
}
inline std::string u32(std::uint32_t value) { return u16(value >> 16U) + u16(value & 0xFFFFU); }
inline std::string text(std::string_view value) {
  return u16(static_cast<unsigned>(value.size())) + std::string(value);
}
inline std::string varint(std::size_t value) {
  std::string out;
  do {
    const auto low = static_cast<unsigned>(value % 128);
    value /= 128;
    out += static_cast<char>(value > 0 ? low | 0x80U : low);
  } while (value > 0);
  return out;
}
inline std::string packet(unsigned first, std::string_view body) {
  return std::string(1, static_cast<char>(first)) + varint(body.size()) + std::string(body);
}

// The numeric properties of MQTT 5, by identifier; texts are passed over.
using Properties = std::map<std::uint8_t, std::uint32_t>;
inline Properties properties(Reader& reader) {
  Properties out;
  Reader inner(reader.take(reader.varint()));
  while (!inner.empty()) {
    const std::uint8_t id = inner.u8();
    switch (id) {
      case 0x01:
      case 0x17:
      case 0x19:
      case 0x24:
      case 0x25:
      case 0x28:
      case 0x29:
      case 0x2A: out[id] = inner.u8(); break;
      case 0x13:
      case 0x21:
      case 0x22:
      case 0x23: out[id] = inner.u16(); break;
      case 0x02:
      case 0x11:
      case 0x18:
      case 0x27: out[id] = inner.u32(); break;
      case 0x0B: out[id] = inner.varint(); break;
      case 0x26: (void)inner.text(); [[fallthrough]];
      default: (void)inner.text(); break;
    }
  }
  return out;
}

// One whole packet from the front of `buffer`, or nothing yet.
struct Packet {
  std::uint8_t first = 0;
  std::string body;
};
inline std::optional<Packet> take_packet(std::string& buffer) {
  std::size_t length = 0, at = 1;
  for (unsigned shift = 0;; shift += 7, ++at) {
    if (at >= buffer.size()) return std::nullopt;
    if (shift > 21) throw std::runtime_error("a length has more than four bytes");
    const auto byte = static_cast<unsigned char>(buffer[at]);
    length |= static_cast<std::size_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) break;
  }
  ++at;
  if (buffer.size() - at < length) return std::nullopt;
  Packet out{static_cast<std::uint8_t>(buffer[0]), buffer.substr(at, length)};
  buffer.erase(0, at + length);
  return out;
}

}  // namespace omnitide::test::wire
