#include "agent/telemetry/segment_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/text.hpp"
#include "agent/telemetry/crc32c.hpp"
#include "agent/telemetry/little_endian.hpp"

namespace omnitide::telemetry {

namespace {

constexpr std::string_view kMagic = "OMNISEG1";
constexpr std::string_view kEnding = ".seg";
constexpr std::size_t kHeaderChecksum = kSegmentHeader - sizeof(std::uint32_t);
constexpr std::uint32_t kFloorFlag = 0x80000000;

std::uint64_t milliseconds(WallTime time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
WallTime from_milliseconds(std::uint64_t value) {
  return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(value)}};
}

// header checksum, payload checksum, length and flag, distance from the first, time
void append_header(std::string& out, const SegmentKey& key, RecordNumber number, WallTime time, std::uint32_t length,
                   std::uint32_t payload_checksum) {
  std::array<char, kRecordHeader> header;
  store(header.data() + 4, payload_checksum);
  store(header.data() + 8, length);
  store(header.data() + 12, static_cast<std::uint32_t>(number - key.first));
  store(header.data() + 16, milliseconds(time));
  store(header.data(), crc32c(key.salt, {header.data() + 4, kRecordHeader - 4}));
  out.append(header.data(), header.size());
}

}  // namespace

std::string segment_name(const SegmentKey& key) {
  return fmt::format("{}-{:016x}-{:08x}{}", kStreamNames[static_cast<std::size_t>(key.stream)], key.first, key.salt,
                     kEnding);
}

std::optional<SegmentKey> parse_segment_name(std::string_view name) {
  if (!name.ends_with(kEnding)) return std::nullopt;
  const std::vector<std::string_view> parts = split(name.substr(0, name.size() - kEnding.size()), '-');
  if (parts.size() != 3 || parts[1].size() != 16 || parts[2].size() != 8) return std::nullopt;
  const auto* const stream = std::ranges::find(kStreamNames, parts[0]);
  const auto first = parse_number<RecordNumber>(parts[1], 16);
  const auto salt = parse_number<std::uint32_t>(parts[2], 16);
  if (stream == kStreamNames.end() || !first || *first == 0 || !salt) return std::nullopt;
  const SegmentKey key{static_cast<Stream>(stream - kStreamNames.begin()), *salt, *first};
  if (segment_name(key) != name) return std::nullopt;
  return key;
}

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentHeader, '\0');
  kMagic.copy(out.data(), kMagic.size());
  out[8] = static_cast<char>(header.key.stream);
  store(out.data() + 12, header.key.salt);
  store(out.data() + 16, header.key.first);
  store(out.data() + 24, header.floor);
  store(out.data() + 32, milliseconds(header.first_time));
  store(out.data() + kHeaderChecksum, crc32c(0, {out.data(), kHeaderChecksum}));
  return out;
}

std::optional<SegmentHeader> decode_segment_header(const SegmentKey& key, std::string_view bytes) {
  if (bytes.size() < kSegmentHeader || !bytes.starts_with(kMagic)) return std::nullopt;
  if (load<std::uint32_t>(bytes.data() + kHeaderChecksum) != crc32c(0, bytes.substr(0, kHeaderChecksum)))
    return std::nullopt;
  const SegmentKey own{static_cast<Stream>(bytes[8]), load<std::uint32_t>(bytes.data() + 12),
                       load<std::uint64_t>(bytes.data() + 16)};
  if (own != key) return std::nullopt;
  return SegmentHeader{key, load<std::uint64_t>(bytes.data() + 24),
                       from_milliseconds(load<std::uint64_t>(bytes.data() + 32))};
}

void append_record(std::string& out, const SegmentKey& key, RecordNumber number, WallTime time,
                   std::string_view payload) {
  append_header(out, key, number, time, static_cast<std::uint32_t>(payload.size()), crc32c(key.salt, payload));
  out.append(payload);
}

void append_floor(std::string& out, const SegmentKey& key, RecordNumber floor) {
  append_header(out, key, floor, {}, kFloorFlag, 0);
}

std::optional<RecordHeader> decode_record_header(const SegmentKey& key, std::string_view bytes) {
  if (bytes.size() < kRecordHeader) return std::nullopt;
  const char* const at = bytes.data();
  if (load<std::uint32_t>(at) != crc32c(key.salt, {at + 4, kRecordHeader - 4})) return std::nullopt;
  const auto length = load<std::uint32_t>(at + 8);
  if ((length & kFloorFlag) != 0 && length != kFloorFlag) return std::nullopt;
  return RecordHeader{.number = key.first + load<std::uint32_t>(at + 12),
                      .time = from_milliseconds(load<std::uint64_t>(at + 16)),
                      .length = length & ~kFloorFlag,
                      .checksum = load<std::uint32_t>(at + 4),
                      .floor = length == kFloorFlag};
}

bool payload_is_whole(const SegmentKey& key, const RecordHeader& header, std::string_view payload) {
  return payload.size() == header.length && crc32c(key.salt, payload) == header.checksum;
}

}  // namespace omnitide::telemetry
