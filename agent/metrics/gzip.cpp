#include "agent/metrics/gzip.hpp"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "agent/metrics/deflate_codes.hpp"

namespace omnitide::metrics {

namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::size_t kProbe = 4;  // bytes that are looked up

template <class Word>
Word load(const char* from) {
  Word out = 0;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// How many bytes are the same, up to `most`. Both may be read up to `most`.
std::size_t common(const char* a, const char* b, std::size_t most) {
  std::size_t same = 0;
  for (; same + sizeof(std::uint64_t) <= most; same += sizeof(std::uint64_t)) {
    const std::uint64_t other = load<std::uint64_t>(a + same) ^ load<std::uint64_t>(b + same);
    if (other != 0) return same + static_cast<std::size_t>(std::countr_zero(other)) / 8;
  }
  while (same < most && a[same] == b[same])
    ++same;
  return same;
}

}  // namespace

inline void Gzip::put(Bits& out, std::uint64_t bits, unsigned count) {
  out.bits |= bits << out.count;
  out.count += count;
  if (ready_.data() + kReady - out.to < static_cast<std::ptrdiff_t>(sizeof out.bits)) {
    out_.append(ready_.data(), out.to);
    out.to = ready_.data();
  }
  std::memcpy(out.to, &out.bits, sizeof out.bits);
  const unsigned whole = out.count / 8;
  out.to += whole;
  out.bits >>= whole * 8;
  out.count %= 8;
}

// RFC 1952, 2.3, and the head of the one block (RFC 1951, 3.2.7): all lengths of codes with four bits each.
void Gzip::begin() {
  constexpr std::array<unsigned char, 10> kHead{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 3};
  out_.clear();
  block_.clear();
  bits_ = {.to = ready_.data()};
  checksum_ = 0;
  size_ = 0;
  for (const unsigned char byte : kHead)
    put(bits_, byte, 8);
  put(bits_, 1 | 2U << 1U, 3);
  put(bits_, deflate::kLiterals - 257, 5);
  put(bits_, deflate::kDistances - 1, 5);
  put(bits_, 19 - 4, 4);
  for (int i = 0; i < 19; ++i)
    put(bits_, i < 3 ? 0 : 4, 3);  // the first three are repetitions
  const auto say = [this](std::string_view lengths) {
    for (const char c : lengths) {
      const std::uint32_t length = deflate::digit(c);
      put(bits_, (length & 1) << 3U | (length & 2) << 1U | (length & 4) >> 1U | length >> 3U, 4);
    }
  };
  say(deflate::kLiteralBits);
  say(deflate::kDistanceBits);
}

void Gzip::deflate(std::string_view block) {
  constexpr std::uint32_t kFactor = 0x9e3779b1;
  seen_.fill(0);
  const char* const from = block.data();
  const std::size_t size = block.size();
  Bits out = bits_;
  std::size_t at = 0;
  while (at + kProbe <= size) {
    const auto word = load<std::uint32_t>(from + at);
    std::uint16_t& place = seen_[word * kFactor >> (32 - kHashBits)];
    const std::size_t before = place;
    place = static_cast<std::uint16_t>(at + 1);
    if (before == 0 || load<std::uint32_t>(from + before - 1) != word) {
      const deflate::Code& code = deflate::kLiteralCodes[static_cast<unsigned char>(from[at++])];
      put(out, code.bits, code.length);
      continue;
    }
    const std::size_t most = std::min(size - at, deflate::kLongest) - kProbe;
    const std::size_t length = kProbe + common(from + before - 1 + kProbe, from + at + kProbe, most);
    const deflate::Code& code = deflate::kLengthCodes[length];
    const deflate::Code far = deflate::code_of_distance(static_cast<std::uint32_t>(at + 1 - before));
    put(out, code.bits | static_cast<std::uint64_t>(far.bits) << code.length, code.length + far.length);
    at += length;
    if (at + kProbe - 1 > size) continue;
    seen_[load<std::uint32_t>(from + at - 1) * kFactor >> (32 - kHashBits)] = static_cast<std::uint16_t>(at);
  }
  for (; at < size; ++at) {
    const deflate::Code& code = deflate::kLiteralCodes[static_cast<unsigned char>(from[at])];
    put(out, code.bits, code.length);
  }
  bits_ = out;
}

void Gzip::write(std::string_view piece) {
  checksum_ = static_cast<std::uint32_t>(
      ::crc32_z(checksum_, reinterpret_cast<const unsigned char*>(piece.data()), piece.size()));
  size_ += static_cast<std::uint32_t>(piece.size());
  while (!piece.empty()) {
    const std::string_view part = piece.substr(0, kWindow - block_.size());
    piece.remove_prefix(part.size());
    if (part.size() == kWindow) {
      deflate(part);
      continue;
    }
    block_.append(part);
    if (block_.size() == kWindow) end_block();
  }
}

void Gzip::end_block() {
  deflate(block_);
  block_.clear();
}

std::string Gzip::finish() {
  end_block();
  const deflate::Code& end = deflate::kLiteralCodes[deflate::kEndOfBlock];
  put(bits_, end.bits, end.length);
  if (bits_.count > 0) put(bits_, 0, 8 - bits_.count);
  put(bits_, checksum_, 32);
  put(bits_, size_, 32);
  out_.append(ready_.data(), bits_.to);
  std::string out = std::exchange(out_, {});
  begin();
  return out;
}

}  // namespace omnitide::metrics
