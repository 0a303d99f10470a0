// Goes through the records of a segment, over damage, in a bounded window of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/record.hpp"
#include "agent/telemetry/segment_format.hpp"

namespace omnitide::telemetry {

struct SegmentItem {
  enum class Kind : std::uint8_t {
    record,
    floor,    // all through `number` had left before what follows was written
    damaged,  // the record `number` was here; its payload is not what was written
  };
  Kind kind = Kind::record;
  RecordNumber number = 0;
  WallTime time{};
  std::string_view payload;  // until the next call
  std::uint64_t begin = 0, end = 0;
};

class SegmentReader {
 public:
  static constexpr std::size_t kWindow = std::size_t{64} * 1024;
  // The bytes from `offset` on: as many as asked for, or fewer up to a border that no record crosses. What was given
  // before may be gone. An error: that part of the disk cannot be read.
  using Fetch = std::function<Result<std::string_view>(std::uint64_t offset, std::size_t bytes)>;

  // From `offset` (a record's begin) to `end`. `fetch` must live as long as the reader.
  SegmentReader(const SegmentKey& key, std::uint64_t offset, std::uint64_t end, const Fetch& fetch)
      : key_(key), offset_(offset), end_(end), fetch_(fetch) {}

  // Numbers rise from item to item; those missing between two are damaged beyond recognition. nullopt at the end.
  [[nodiscard]] std::optional<SegmentItem> next();

 private:
  [[nodiscard]] std::string_view window(std::size_t bytes);
  [[nodiscard]] bool fits(const std::optional<RecordHeader>& header, std::uint64_t offset) const;
  [[nodiscard]] bool find_record();

  SegmentKey key_;
  std::uint64_t offset_, end_;
  const Fetch& fetch_;
  std::string_view window_;
  std::uint64_t window_begin_ = 0;
  RecordNumber last_ = 0;  // number of the last item
  bool unreadable_ = false;
};

}  // namespace omnitide::telemetry
