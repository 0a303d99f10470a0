// What is behind Spool.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/telemetry/spool.hpp"
#include "agent/telemetry/spool_folder.hpp"
#include "agent/telemetry/spool_state.hpp"
#include "agent/telemetry/spool_sync.hpp"
#include "agent/telemetry/stream_log.hpp"

namespace omnitide::telemetry {

class Spool::Impl {
 public:
  Impl(SpoolFolder folder, StateFile state, SpoolLimits limits, bool look_only);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] Result<> recover();
  [[nodiscard]] Result<RecordNumber> append(Stream stream, WallTime time, std::string_view payload, WallTime now);
  [[nodiscard]] Result<> write();
  [[nodiscard]] std::function<Result<>()> sync();
  [[nodiscard]] Result<std::vector<Record>> read(Stream stream, RecordNumber after, std::size_t most_records,
                                                 std::size_t most_bytes);
  void confirm(Stream stream, RecordNumber through);
  void refuse(Stream stream, RecordNumber number);
  void keep_delivered(Stream stream, const DeliveredRanges& ranges) { log(stream).keep_delivered(ranges); }
  [[nodiscard]] const DeliveredRanges& delivered(Stream stream) const {
    return logs_[static_cast<std::size_t>(stream)].delivered();
  }
  void expire(WallTime now);
  // Evicts until so many bytes have room beside the rest. False: what is there matters more than the stream.
  [[nodiscard]] bool make_room(std::uint64_t bytes, Stream for_stream);
  [[nodiscard]] SpoolStatus status();

 private:
  [[nodiscard]] StreamLog& log(Stream stream) { return logs_[static_cast<std::size_t>(stream)]; }
  [[nodiscard]] Error drop(Stream stream, DropCause cause, Error error);
  [[nodiscard]] bool within_rate(WallTime now);
  [[nodiscard]] bool memory_takes(Stream stream, std::uint64_t bytes);
  [[nodiscard]] bool may_go(const StreamLog& one, Stream for_stream) const;
  [[nodiscard]] StreamLog* victim(Stream for_stream);
  [[nodiscard]] std::uint64_t live_bytes() const;
  [[nodiscard]] std::uint64_t retired_bytes() const;
  void remove_retired();
  void collect();
  void collect_file(const SyncedFile& file);
  [[nodiscard]] std::vector<SyncedFile> unsynced() const;
  [[nodiscard]] SpoolState state() const;
  [[nodiscard]] bool state_is_on_disk() const;
  [[nodiscard]] Result<> write_state();

  SpoolLimits limits_;
  SpoolShared shared_;
  StateFile state_file_;
  std::array<StreamLog, kStreams> logs_;
  std::shared_ptr<SyncJob> job_;       // until what it did is known
  std::optional<SpoolState> on_disk_;  // the state that was written last
  std::optional<SpoolState> syncing_;  // the one that the job makes durable
  std::optional<SpoolState> durable_;  // and the one that is
  std::string write_problem_, sync_problem_;
  bool disk_takes_nothing_ = false;
  double tokens_ = 0;
  WallTime refilled_{};
};

}  // namespace omnitide::telemetry
