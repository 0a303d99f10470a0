// A bounded queue of records on disk: append-only segments with checksums. A record leaves it when it is confirmed, or
// when a bound evicts it, which is counted by cause. No threads and no clock of its own.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"
#include "agent/telemetry/record.hpp"

namespace omnitide::telemetry {

enum class Eviction : std::uint8_t {
  oldest_first,  // whichever stream has the oldest segment
  priority,      // flows before metrics before ... before events; within a stream the oldest
};

struct SpoolLimits {
  std::uint64_t bytes = std::uint64_t{64} << 20U;              // on disk, all streams together
  std::chrono::milliseconds age{std::chrono::hours{24 * 30}};  // older records are evicted; 0: no limit
  std::uint64_t segment_bytes = std::uint64_t{1} << 20U;
  std::size_t record_bytes = std::size_t{1} << 20U;  // a larger record is refused
  // Records that the disk has not taken. The streams below conditions have three quarters of it.
  std::size_t memory_bytes = std::size_t{256} << 10U;
  std::uint32_t records_per_second = 0;  // appended, all streams together; 0: no limit
  Eviction eviction = Eviction::priority;
};

enum class DropCause : std::uint8_t { size, age, rate, too_large, disk, corrupt, refused };
inline constexpr std::size_t kDropCauses = 7;
inline constexpr std::array<std::string_view, kDropCauses> kDropCauseNames{"size", "age",     "rate",   "too_large",
                                                                           "disk", "corrupt", "refused"};

struct StreamStatus {
  RecordNumber first = 0;                // oldest that is not confirmed; 0: none
  RecordNumber next = 1;                 // the next append's
  std::uint64_t records = 0, bytes = 0;  // not confirmed
  WallTime oldest{};
  std::uint64_t appended = 0, confirmed = 0;         // since open()
  std::array<std::uint64_t, kDropCauses> dropped{};  // kept over restarts
};

struct SpoolStatus {
  std::array<StreamStatus, kStreams> streams;
  std::uint64_t disk_bytes = 0;  // of the segments
  std::uint64_t memory_bytes = 0;
  std::uint32_t segments = 0;
  bool read_only = false;  // the disk takes nothing: records are kept in memory up to a bound
  std::string problem;     // last fault of the disk as a sentence; empty: none
};

class Spool {
 public:
  // Recovers what is in `folder` (made when missing): a torn end is cut off, a damaged record is counted as corrupt and
  // the others stay. already_exists when another process has it.
  [[nodiscard]] static Result<std::unique_ptr<Spool>> open(const std::string& folder, SpoolLimits limits, WallTime now);
  // What is in the folder, without the lock and without a change to it; also while another process has it.
  [[nodiscard]] static Result<SpoolStatus> inspect(const std::string& folder);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Gives the record's number. The record is safe against kill -9 after write(), against power loss after sync().
  // May evict. An error: it was dropped, and is counted.
  [[nodiscard]] Result<RecordNumber> append(Stream stream, WallTime time, std::string_view payload, WallTime now);
  // Hands what was appended to the kernel. Cheap; once a turn of the loop, not once a record. A full or read-only disk
  // is an error that keeps the records in memory for the next try, up to a bound.
  [[nodiscard]] Result<> write();
  // Work for another thread: makes all that was written durable, and unlinks what is confirmed. The spool may be used
  // meanwhile; call again only when the job has been run.
  [[nodiscard]] std::function<Result<>()> sync();

  // Records behind `after`, in order, until one of the bounds; at least one when there is one.
  [[nodiscard]] Result<std::vector<Record>> read(Stream stream, RecordNumber after, std::size_t most_records,
                                                 std::size_t most_bytes);
  // All up to this number leave. What was confirmed before it was written is never written.
  void confirm(Stream stream, RecordNumber through);
  // What the broker has beyond what is confirmed. It stays in the spool; the next process is told by delivered(), as
  // far as the records were written.
  void keep_delivered(Stream stream, const DeliveredRanges& ranges);
  [[nodiscard]] const DeliveredRanges& delivered(Stream stream) const;
  // This one leaves as dropped: the broker refuses it, and would again.
  void refuse(Stream stream, RecordNumber number);
  // Evicts by age. Once a minute is enough.
  void expire(WallTime now);

  [[nodiscard]] SpoolStatus status() const;

 private:
  class Impl;
  explicit Spool(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace omnitide::telemetry
