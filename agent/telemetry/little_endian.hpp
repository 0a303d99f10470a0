// Numbers in the byte order of the files.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace omnitide::telemetry {

template <std::unsigned_integral T>
[[nodiscard]] constexpr T little_endian(T value) {
  if constexpr (std::endian::native == std::endian::big) {
    T out = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      out = static_cast<T>(out << 8U | (value >> 8U * i & 0xFFU));
    return out;
  }
  return value;
}
template <std::unsigned_integral T>
void store(char* to, T value) {
  value = little_endian(value);
  std::memcpy(to, &value, sizeof value);
}
template <std::unsigned_integral T>
[[nodiscard]] T load(const char* from) {
  T value{};
  std::memcpy(&value, from, sizeof value);
  return little_endian(value);
}

}  // namespace omnitide::telemetry
