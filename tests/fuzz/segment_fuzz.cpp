// The reader of the spool's segments. With an even first byte the rest are the bytes behind a segment's header:
// whatever it takes for a record must be there as it would have been written. With an odd one the rest says records and
// damage to them: what was not touched must come out.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

#include "agent/telemetry/crc32c.hpp"
#include "agent/telemetry/segment_reader.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

namespace {

const SegmentKey kKey{Stream::facts, 0x9f3c1d2e, 41};

void require(bool promise) {
  if (!promise) std::abort();
}

std::uint8_t take(std::string_view& rest) {
  if (rest.empty()) return 0;
  const auto out = static_cast<std::uint8_t>(rest.front());
  rest.remove_prefix(1);
  return out;
}

std::map<RecordNumber, std::string> read_all(const SegmentKey& segment, const std::string& bytes) {
  std::map<RecordNumber, std::string> out;
  std::string window;  // of its own, so that a read beyond it or after it is seen
  const SegmentReader::Fetch fetch = [&bytes, &window](std::uint64_t offset, std::size_t count) {
    window = std::string();
    window = bytes.substr(static_cast<std::size_t>(offset), count);
    return Result<std::string_view>(window);
  };
  SegmentReader reader(segment, kSegmentHeader, bytes.size(), fetch);
  RecordNumber last = 0;
  std::uint64_t end = kSegmentHeader;
  while (const auto item = reader.next()) {
    require(item->number > last && item->begin >= end && item->end <= bytes.size());
    last = item->number;
    end = item->end;
    if (item->kind == SegmentItem::Kind::damaged) continue;
    std::string again;
    if (item->kind == SegmentItem::Kind::floor) {
      append_floor(again, segment, item->number);
      require(again.size() == item->end - item->begin);
      continue;
    }
    append_record(again, segment, item->number, item->time, item->payload);
    require(bytes.compare(item->begin, item->end - item->begin, again) == 0);
    out[item->number] = std::string(item->payload);
  }
  return out;
}

struct Piece {
  std::size_t begin = 0, end = 0;
  std::string payload;
};

void check_damage(std::string_view rest) {
  // As in a spool, nobody who gives payloads knows the salt.
  const SegmentKey segment{kKey.stream, crc32c(0x5eed, rest), kKey.first};
  std::string bytes = encode_segment_header({segment, 40, {}});
  std::map<RecordNumber, Piece> pieces;
  RecordNumber number = segment.first;
  for (std::uint8_t count = take(rest) % 32; count > 0; --count) {
    number += 1 + take(rest) % 4 / 3;
    const std::string payload(rest.substr(0, take(rest)));
    pieces[number] = {bytes.size(), bytes.size() + kRecordHeader + payload.size(), payload};
    append_record(bytes, segment, number, WallTime{std::chrono::milliseconds{take(rest)}}, payload);
  }
  const std::string whole = bytes;
  while (rest.size() >= 3) {
    const std::size_t at = kSegmentHeader + (take(rest) * 256U + take(rest)) % (bytes.size() - kSegmentHeader + 1);
    if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ take(rest));
  }
  const auto got = read_all(segment, bytes);
  for (const auto& [key, piece] : pieces) {
    if (bytes.compare(piece.begin, piece.end - piece.begin, whole, piece.begin, piece.end - piece.begin) != 0) continue;
    require(got.contains(key) && got.at(key) == piece.payload);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  if (take(rest) % 2 != 0) {
    check_damage(rest);
    return 0;
  }
  (void)read_all(kKey, encode_segment_header({kKey, 40, {}}) + std::string(rest));
  (void)parse_segment_name(rest);
  return 0;
}
