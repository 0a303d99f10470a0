#include "agent/cli/archive.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>

namespace omnitide::cli {

namespace {

constexpr std::size_t kBlock = 512;

// Fields of the ustar header: IEEE Std 1003.1, "pax", ustar Interchange Format.
struct Field {
  std::size_t offset, size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kMagic{257, 6}, kVersion{263, 2}, kUser{265, 32}, kGroup{297, 32};

void put(std::string& block, Field field, std::string_view text) {
  block.replace(field.offset, std::min(field.size, text.size()), text.substr(0, field.size));
}

// Octal digits with leading zeros and a final NUL.
void put_number(std::string& block, Field field, std::uint64_t value) {
  put(block, field, fmt::format("{:0{}o}", value, field.size - 1));
}

}  // namespace

void TarWriter::add(const std::string& name, std::string_view content) {
  std::string block(kBlock, '\0');
  put(block, kName, fmt::format("{}/{}", folder_, name));
  put_number(block, kMode, 0600);
  put_number(block, kUid, 0);
  put_number(block, kGid, 0);
  put_number(block, kSize, content.size());
  put_number(block, kTime, static_cast<std::uint64_t>(std::max<std::int64_t>(mtime_, 0)));
  put(block, kType, "0");
  put(block, kMagic, std::string_view("ustar\0", 6));
  put(block, kVersion, "00");
  put(block, kUser, "root");
  put(block, kGroup, "root");
  // The checksum is that of the block with blanks in its own field.
  put(block, kChecksum, "        ");
  std::uint64_t sum = 0;
  for (const char c : block)
    sum += static_cast<unsigned char>(c);
  put(block, kChecksum, fmt::format("{:06o}{}", sum, std::string_view("\0 ", 2)));
  out_ += block;
  out_ += content;
  out_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

std::string TarWriter::finish() && {
  out_.append(2 * kBlock, '\0');
  return std::move(out_);
}

Result<std::string> gzip(std::string_view data) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream{};
  if (::deflateInit2(&stream, 6, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return fail(Code::internal, "cannot start compression");
  std::string out(::deflateBound(&stream, static_cast<uLong>(data.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (result != Z_STREAM_END) return fail(Code::internal, "cannot compress");
  return out;
}

}  // namespace omnitide::cli
