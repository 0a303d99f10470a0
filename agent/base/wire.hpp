// The encoding of Protocol Buffers as far as Sparkplug and Kubernetes need it: a writer into a string and a bounded
// reader of what strangers sent. https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace omnitide {

inline void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7U)
    out += static_cast<char>((value & 0x7FU) | 0x80U);
  out += static_cast<char>(value);
}
[[nodiscard]] constexpr std::size_t varint_size(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1U)) + 6) / 7;
}
inline void put_little_endian(std::string& out, std::uint64_t bits) {
  for (unsigned shift = 0; shift < 64; shift += 8)
    out += static_cast<char>((bits >> shift) & 0xFFU);
}

enum class Wire : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void put_key(std::string& out, std::uint32_t field, Wire wire) {
  put_varint(out, std::uint64_t{field} << 3U | static_cast<std::uint64_t>(wire));
}
inline void put_field(std::string& out, std::uint32_t field, std::uint64_t value) {
  put_key(out, field, Wire::varint);
  put_varint(out, value);
}
inline void put_field(std::string& out, std::uint32_t field, std::string_view value) {
  put_key(out, field, Wire::bytes);
  put_varint(out, value.size());
  out += value;
}
inline void put_field(std::string& out, std::uint32_t field, double value) {
  put_key(out, field, Wire::fixed64);
  put_little_endian(out, std::bit_cast<std::uint64_t>(value));
}

// Walks over the fields of one message. What it gives points into the text. Deprecated groups, field 0, numbers of more
// than ten bytes and lengths beyond the text end the walk with good() false.
class WireReader {
 public:
  explicit WireReader(std::string_view text) : rest_(text) {}

  struct Field {
    std::uint32_t number = 0;
    Wire wire = Wire::varint;
    std::uint64_t value = 0;  // of varint, fixed64 and fixed32
    std::string_view bytes;
  };
  // Nothing: at the end, or at what is no field.
  [[nodiscard]] std::optional<Field> next();
  [[nodiscard]] std::optional<std::uint64_t> varint();
  [[nodiscard]] std::optional<std::uint64_t> fixed(unsigned bytes);
  [[nodiscard]] std::optional<std::string_view> bytes(std::uint64_t count);
  [[nodiscard]] bool good() const { return good_; }
  [[nodiscard]] std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace omnitide
