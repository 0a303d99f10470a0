// The form of a segment on disk, little-endian: a header, then records. docs/telemetry.md describes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/telemetry/record.hpp"

namespace omnitide::telemetry {

// What must be known to read a segment. It stands in the file's name too, so that a damaged header costs no record.
struct SegmentKey {
  Stream stream = Stream::events;
  std::uint32_t salt = 0;  // random; checksums begin with it, so that no payload can hold what looks like a record
  RecordNumber first = 0;  // records have their distance from it
  bool operator==(const SegmentKey&) const = default;
};

inline constexpr std::size_t kSegmentHeader = 64;
inline constexpr std::size_t kRecordHeader = 24;
inline constexpr std::uint32_t kLongestRecord = 0x7FFFFFFF;
inline constexpr RecordNumber kMostInSegment = 0xFFFFFFFF;

// "metrics-000000000000002a-9f3c1d2e.seg"
[[nodiscard]] std::string segment_name(const SegmentKey& key);
[[nodiscard]] std::optional<SegmentKey> parse_segment_name(std::string_view name);

struct SegmentHeader {
  SegmentKey key;
  RecordNumber floor = 0;  // when the segment was begun, all through this number had left the spool
  WallTime first_time{};   // of its first record
};
[[nodiscard]] std::string encode_segment_header(const SegmentHeader& header);
// nullopt: damaged, or of another key.
[[nodiscard]] std::optional<SegmentHeader> decode_segment_header(const SegmentKey& key, std::string_view bytes);

// A floor stands where records were not written because all through its number had left before.
struct RecordHeader {
  RecordNumber number = 0;
  WallTime time{};
  std::uint32_t length = 0;  // of the payload behind it
  std::uint32_t checksum = 0;
  bool floor = false;
};
void append_record(std::string& out, const SegmentKey& key, RecordNumber number, WallTime time,
                   std::string_view payload);
void append_floor(std::string& out, const SegmentKey& key, RecordNumber floor);
// From the first bytes of `bytes`; nullopt: too few, or damaged.
[[nodiscard]] std::optional<RecordHeader> decode_record_header(const SegmentKey& key, std::string_view bytes);
[[nodiscard]] bool payload_is_whole(const SegmentKey& key, const RecordHeader& header, std::string_view payload);

}  // namespace omnitide::telemetry
