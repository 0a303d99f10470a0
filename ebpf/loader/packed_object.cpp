#include "ebpf/loader/packed_object.hpp"

#include <zlib.h>

#include <cstdint>

namespace omnitide::ebpf {

namespace {

constexpr std::size_t kTrailer = 4;      // the file's length, the last four bytes, little endian
constexpr std::size_t kMost = 8U << 20;  // bytes of a file; ours have at most half of one million
constexpr int kGzipWindow = 15 + 16;     // zlib.h, inflateInit2: the largest window, gzip's header

std::size_t length_of(std::span<const std::byte> gzip) {
  std::size_t out = 0;
  for (std::size_t i = 0; i < kTrailer && gzip.size() > kTrailer; ++i)
    out |= std::to_integer<std::size_t>(gzip[gzip.size() - kTrailer + i]) << (8 * i);
  return out;
}

}  // namespace

Result<std::vector<std::byte>> unpack(PackedObject object) {
  const Error damaged = fail(Code::internal, "the compiled BPF programs inside of this program are damaged");
  const std::size_t length = length_of(object.gzip);
  if (length == 0 || length > kMost) return damaged;
  std::vector<std::byte> out(length);
  z_stream stream{};
  // zlib reads through a pointer that is not const.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(object.gzip.data()));
  stream.avail_in = static_cast<uInt>(object.gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  if (inflateInit2(&stream, kGzipWindow) != Z_OK) return damaged;
  const int code = inflate(&stream, Z_FINISH);
  const bool whole = code == Z_STREAM_END && stream.avail_out == 0;
  inflateEnd(&stream);
  if (!whole) return damaged;
  return out;
}

}  // namespace omnitide::ebpf
