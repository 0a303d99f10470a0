// The Huffman codes in which texts are deflated (RFC 1951): always the same ones, made for the text of metrics, since
// one of them is much like another. The block says them at its beginning, so that every program can read it.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace omnitide::metrics::deflate {

constexpr std::size_t kLiterals = 286, kDistances = 30, kEndOfBlock = 256;
constexpr std::size_t kShortest = 3, kLongest = 258;  // bytes of a match

// Bits of each code in hexadecimal, from how often a scrape has it; bytes that it never has get long ones.
constexpr std::string_view kLiteralBits =
    "eeeeeeeeeeaeeeeeeeeeeeeeeeeeeeee5c7bcccaaacc897a66666666679cc8cccab9a9aca9ccaaaa8c9999cacbccccc7c5866578"
    "76b867657966578798a9c9ceeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeece455566655665667666888eeeeeee";
constexpr std::string_view kDistanceBits = "abbbba886544343445554555565568";

struct Code {
  std::uint32_t bits = 0;  // the first one sent is the lowest
  std::uint32_t length = 0;
};

constexpr std::uint32_t digit(char c) { return static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'a' + 10); }

// RFC 1951, 3.2.2: codes of the same length are consecutive, and their highest bit is sent first.
template <std::size_t N>
constexpr std::array<Code, N> codes_of(std::string_view lengths) {
  std::array<Code, N> out{};
  std::uint32_t next = 0;
  for (std::uint32_t length = 1; length <= 15; ++length, next <<= 1U) {
    for (std::size_t i = 0; i < N; ++i) {
      if (digit(lengths[i]) != length) continue;
      std::uint32_t reversed = 0;
      for (std::uint32_t bit = 0; bit < length; ++bit)
        reversed |= (next >> bit & 1U) << (length - 1 - bit);
      out[i] = {reversed, length};
      ++next;
    }
  }
  return out;
}

// Neither a bit sequence without a meaning nor one with two.
constexpr bool complete(std::string_view lengths) {
  std::uint32_t used = 0;
  for (const char c : lengths)
    used += digit(c) == 0 ? 0 : 1U << (15 - digit(c));
  return used == 1U << 15U;
}
static_assert(kLiteralBits.size() == kLiterals && complete(kLiteralBits));
static_assert(kDistanceBits.size() == kDistances && complete(kDistanceBits));

inline constexpr std::array<Code, kLiterals> kLiteralCodes = codes_of<kLiterals>(kLiteralBits);
inline constexpr std::array<Code, kDistances> kDistanceCodes = codes_of<kDistances>(kDistanceBits);

// RFC 1951, 3.2.5: codes of lengths are four for each power of two, their further bits behind them. 258 has one of its
// own.
constexpr std::array<Code, kLongest + 1> codes_of_lengths() {
  std::array<Code, kLongest + 1> out{};
  for (std::uint32_t length = kShortest; length < kLongest; ++length) {
    const std::uint32_t rest = length - 3;
    const std::uint32_t more = rest < 8 ? 0 : static_cast<std::uint32_t>(std::bit_width(rest)) - 3;
    const Code code = kLiteralCodes[257 + more * 4 + (rest >> more)];
    out[length] = {code.bits | (rest & ((1U << more) - 1)) << code.length, code.length + more};
  }
  out[kLongest] = kLiteralCodes[285];
  return out;
}
inline constexpr std::array<Code, kLongest + 1> kLengthCodes = codes_of_lengths();

// The same with two for each power of two. `distance` is 1 to 32768.
constexpr Code code_of_distance(std::uint32_t distance) {
  const std::uint32_t rest = distance - 1;
  const std::uint32_t more = rest < 4 ? 0 : static_cast<std::uint32_t>(std::bit_width(rest)) - 2;
  const Code code = kDistanceCodes[more * 2 + (rest >> more)];
  return {code.bits | (rest & ((1U << more) - 1)) << code.length, code.length + more};
}

}  // namespace omnitide::metrics::deflate
