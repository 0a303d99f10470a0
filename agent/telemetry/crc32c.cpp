#include "agent/telemetry/crc32c.hpp"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define OMNITIDE_CRC_TARGET __attribute__((target("sse4.2")))
#elif defined(__aarch64__) && defined(__GNUC__) && !defined(__clang__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define OMNITIDE_CRC_TARGET __attribute__((target("+crc")))
#endif

namespace omnitide::telemetry {

namespace {

using Function = std::uint32_t (*)(std::uint32_t, std::string_view);
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// Table k has what a byte does to the checksum when k bytes follow it: eight bytes a step.
constexpr Tables make_tables() {
  Tables out{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value >> 1U) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    out[0][byte] = value;
  }
  for (std::size_t k = 1; k < out.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte)
      out[k][byte] = (out[k - 1][byte] >> 8U) ^ out[0][out[k - 1][byte] & 0xFFU];
  }
  return out;
}
constexpr Tables kTables = make_tables();

std::uint32_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }

#if defined(OMNITIDE_CRC_TARGET)
#if defined(__x86_64__)
OMNITIDE_CRC_TARGET inline std::uint32_t step(std::uint32_t value, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(value, word));
}
OMNITIDE_CRC_TARGET inline std::uint32_t step(std::uint32_t value, std::uint8_t byte) {
  return _mm_crc32_u8(value, byte);
}
bool present() { return __builtin_cpu_supports("sse4.2") != 0; }
#else
OMNITIDE_CRC_TARGET inline std::uint32_t step(std::uint32_t value, std::uint64_t word) {
  return __crc32cd(value, word);
}
OMNITIDE_CRC_TARGET inline std::uint32_t step(std::uint32_t value, std::uint8_t byte) { return __crc32cb(value, byte); }
bool present() { return (::getauxval(AT_HWCAP) & (1UL << 7U)) != 0; }  // HWCAP_CRC32, asm/hwcap.h
#endif

OMNITIDE_CRC_TARGET std::uint32_t by_hardware(std::uint32_t seed, std::string_view bytes) {
  std::uint32_t value = ~seed;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= sizeof(std::uint64_t); left -= sizeof(std::uint64_t), at += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    value = step(value, word);
  }
  for (; left > 0; --left, ++at)
    value = step(value, static_cast<std::uint8_t>(*at));
  return ~value;
}
#else
constexpr Function by_hardware = nullptr;
bool present() { return false; }
#endif

const Function kBest = present() ? Function(by_hardware) : Function(crc32c_portable);

}  // namespace

std::uint32_t crc32c_portable(std::uint32_t seed, std::string_view bytes) {
  std::uint32_t value = ~seed;
  while (bytes.size() >= 8) {
    value ^= byte_at(bytes, 0) | byte_at(bytes, 1) << 8U | byte_at(bytes, 2) << 16U | byte_at(bytes, 3) << 24U;
    value = kTables[7][value & 0xFFU] ^ kTables[6][value >> 8U & 0xFFU] ^ kTables[5][value >> 16U & 0xFFU] ^
            kTables[4][value >> 24U] ^ kTables[3][byte_at(bytes, 4)] ^ kTables[2][byte_at(bytes, 5)] ^
            kTables[1][byte_at(bytes, 6)] ^ kTables[0][byte_at(bytes, 7)];
    bytes.remove_prefix(8);
  }
  for (; !bytes.empty(); bytes.remove_prefix(1))
    value = (value >> 8U) ^ kTables[0][(value ^ byte_at(bytes, 0)) & 0xFFU];
  return ~value;
}

std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes) { return kBest(seed, bytes); }
bool crc32c_by_hardware() { return kBest != Function(crc32c_portable); }

}  // namespace omnitide::telemetry
