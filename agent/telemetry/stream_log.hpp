// One stream of the spool: its segments, what of the last one is in memory, and how far it is confirmed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/holes.hpp"
#include "agent/telemetry/segment_format.hpp"
#include "agent/telemetry/segment_reader.hpp"
#include "agent/telemetry/spool.hpp"
#include "agent/telemetry/spool_folder.hpp"
#include "agent/telemetry/spool_state.hpp"

namespace omnitide::telemetry {

struct Segment {
  SegmentKey key;
  RecordNumber floor = 0;
  WallTime first_time{};
  std::uint64_t bytes = 0;    // with what is in memory only
  std::uint64_t written = 0;  // handed to the kernel
  std::uint64_t synced = 0;   // known to be durable
  SharedFd fd;                // of the last segment, and of a few that are not synced yet
  bool sealed = false;        // takes no more records
  bool suspect = false;       // a sync failed: what is behind `synced` may be lost
};

struct RetiredSegment {
  std::string name;
  std::uint64_t bytes = 0;
};

// What all streams of a spool share. Used by one at a time.
struct SpoolShared {
  SpoolFolder folder;
  std::string buffer;         // for reading
  bool folder_dirty = false;  // files were made since the folder was synced
  bool look_only = false;     // nothing is repaired or removed: another process may have the folder
};

class StreamLog {
 public:
  StreamLog(SpoolShared& shared, Stream stream) : shared_(shared), stream_(stream) {}

  // Takes over what is on disk; `saved` is nullopt when nobody knows. `keys` are this stream's, by number.
  [[nodiscard]] Result<> recover(std::vector<SegmentKey> keys, const std::optional<StreamState>& saved);

  // `roll_at`: a segment of this size takes no more. Whether there is room was asked before.
  RecordNumber append(WallTime time, std::string_view payload, std::uint64_t roll_at);
  // `may_skip`: what is confirmed need not be written.
  [[nodiscard]] Result<> write(bool may_skip);

  // Goes from `from` on until `take` says false, which leaves that record to the next visit.
  using Take = std::function<bool(const SegmentItem&)>;
  void visit(RecordNumber from, const Take& take);
  struct Front {
    RecordNumber number = 0;  // 0: there is no record
    WallTime time{};
    std::uint64_t passed_bytes = 0;  // that stand before it in its segment
  };
  [[nodiscard]] const Front& front();

  // All through this number leave: confirmed, or dropped for `cause`.
  void leave(RecordNumber through, std::optional<DropCause> cause);
  void refuse(RecordNumber number);
  void expire(WallTime limit);
  // The segments through the first one whose records leave by it. False: there is none.
  [[nodiscard]] bool evict_front(DropCause cause);
  void keep_delivered(const DeliveredRanges& ranges) { state_.delivered = ranges; }
  [[nodiscard]] const DeliveredRanges& delivered() const { return state_.delivered; }
  void count(DropCause cause) { ++state_.dropped[static_cast<std::size_t>(cause)]; }

  // Writes again what a failed sync may have lost. An error: it has to be tried again.
  [[nodiscard]] Result<> rewrite_suspects();

  [[nodiscard]] Stream stream() const { return stream_; }
  // What the state file has to know. A number that was given out and whose record was not written yet is none of it:
  // its record may be in the middle of a write that a kill ends, and a number without a record counts as damaged.
  // Unless `with_memory`, for records that stay in memory since the disk takes nothing: those would be lost indeed.
  [[nodiscard]] StreamState to_save(bool with_memory) const;
  // Whether to_save() has nothing new beside `saved`: drops, confirmations and deliveries. The next number follows from
  // the records, unless none of them was written; then one of these has changed too.
  [[nodiscard]] bool is_in(const StreamState& saved, bool with_memory) const;
  [[nodiscard]] std::deque<Segment>& segments() { return segments_; }
  [[nodiscard]] const std::deque<Segment>& segments() const { return segments_; }
  [[nodiscard]] std::vector<RetiredSegment>& retired() { return retired_; }
  [[nodiscard]] const std::vector<RetiredSegment>& retired() const { return retired_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // of the segments, retired ones aside
  [[nodiscard]] std::uint64_t pending() const;                  // in memory only
  [[nodiscard]] std::uint64_t memory() const;
  [[nodiscard]] StreamStatus status();

 private:
  static constexpr std::size_t kHeld = std::size_t{64} * 1024;     // written bytes that stay in memory, for readers
  static constexpr std::size_t kIdleTail = std::size_t{8} * 1024;  // of them, when all have left
  static constexpr std::size_t kOpenFiles = 16;
  struct Cursor {
    RecordNumber number = 0, segment = 0;  // 0: unused
    std::uint64_t offset = 0, used = 0;
  };
  struct Walk;

  void begin_segment(WallTime time);
  void skip_confirmed();
  void trim_tail();
  void release_tail();
  void retire(std::size_t index);
  void retire_left();
  void close_synced();
  void forget_places();  // offsets have changed

  [[nodiscard]] std::size_t segment_of(RecordNumber number) const;
  [[nodiscard]] Result<std::string_view> fetch(const Segment& segment, std::uint64_t offset, std::size_t bytes);
  [[nodiscard]] bool visit_segment(std::size_t index, Walk& walk);
  [[nodiscard]] Cursor* cursor_at(RecordNumber number, RecordNumber segment);
  void keep_cursor(Walk& walk, Cursor place);
  bool note_gap(RecordNumber first, RecordNumber last);

  [[nodiscard]] Result<> adopt(const SegmentKey& key);
  void recover_last();
  struct Copy;
  [[nodiscard]] Copy copy_unsynced(std::size_t index);
  [[nodiscard]] Result<> rewrite(std::size_t index);

  SpoolShared& shared_;
  Stream stream_;
  StreamState state_;
  RecordNumber taken_ = 0;  // all through it are in the kernel, or have left
  std::deque<Segment> segments_;
  std::vector<RetiredSegment> retired_;
  Holes holes_;
  std::string tail_;              // the bytes of the last segment from tail_begin_ on
  std::uint64_t tail_begin_ = 0;  // where a record begins, or 0
  std::uint64_t bytes_ = 0;
  bool partial_ = false;    // the last write ended within a record
  bool floor_due_ = false;  // confirmed records were not written: a floor has to stand in front of the next one
  std::uint64_t appended_ = 0, confirmed_ = 0;
  std::array<Cursor, 3> cursors_;
  std::uint64_t uses_ = 0;
  std::optional<Front> front_;
  SharedFd read_fd_;  // of the segment read last
  SegmentKey read_key_;
};

}  // namespace omnitide::telemetry
