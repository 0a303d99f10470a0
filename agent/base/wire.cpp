#include "agent/base/wire.hpp"

namespace omnitide {

std::optional<std::uint64_t> WireReader::varint() {
  std::uint64_t value = 0;
  for (unsigned at = 0; at < 10 && at < rest_.size(); ++at) {
    const auto byte = static_cast<std::uint8_t>(rest_[at]);
    if (at == 9 && byte > 1) break;  // beyond 64 bits
    value |= std::uint64_t{byte & 0x7FU} << (7 * at);
    if (byte < 0x80) {
      rest_.remove_prefix(at + 1);
      return value;
    }
  }
  good_ = false;
  return std::nullopt;
}

std::optional<std::uint64_t> WireReader::fixed(unsigned bytes) {
  if (rest_.size() < bytes) {
    good_ = false;
    return std::nullopt;
  }
  std::uint64_t value = 0;
  for (unsigned at = 0; at < bytes; ++at)
    value |= std::uint64_t{static_cast<std::uint8_t>(rest_[at])} << (8 * at);
  rest_.remove_prefix(bytes);
  return value;
}

std::optional<std::string_view> WireReader::bytes(std::uint64_t count) {
  if (count > rest_.size()) {
    good_ = false;
    return std::nullopt;
  }
  const std::string_view out = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return out;
}

std::optional<WireReader::Field> WireReader::next() {
  if (!good_ || rest_.empty()) return std::nullopt;
  const std::optional<std::uint64_t> key = varint();
  if (!key) return std::nullopt;
  Field out;
  out.number = static_cast<std::uint32_t>(*key >> 3U);
  out.wire = static_cast<Wire>(*key & 7U);
  if (*key >> 3U == 0 || *key >> 32U != 0) {
    good_ = false;
    return std::nullopt;
  }
  std::optional<std::uint64_t> value;
  switch (out.wire) {
    case Wire::varint: value = varint(); break;
    case Wire::fixed64: value = fixed(8); break;
    case Wire::fixed32: value = fixed(4); break;
    case Wire::bytes: value = varint(); break;
    default: good_ = false;
  }
  if (!value) return std::nullopt;
  out.value = *value;
  if (out.wire == Wire::bytes) {
    const std::optional<std::string_view> text = bytes(*value);
    if (!text) return std::nullopt;
    out.bytes = *text;
  }
  return out;
}

}  // namespace omnitide
