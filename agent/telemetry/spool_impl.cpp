#include "agent/telemetry/spool_impl.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace omnitide::telemetry {

namespace {

// So that a small spool gives way in small pieces.
constexpr std::uint64_t kLeastSegment = 4096, kSegmentsAtLeast = 16;

template <std::size_t... I>
std::array<StreamLog, kStreams> make_logs(SpoolShared& shared, std::index_sequence<I...> /*numbers*/) {
  return {StreamLog(shared, static_cast<Stream>(I))...};
}

}  // namespace

Spool::Impl::Impl(SpoolFolder folder, StateFile state, SpoolLimits limits, bool look_only)
    : limits_(limits),
      shared_{std::move(folder), {}, false, look_only},
      state_file_(std::move(state)),
      logs_(make_logs(shared_, std::make_index_sequence<kStreams>())),
      tokens_(limits.records_per_second) {
  limits_.segment_bytes = std::min(limits.segment_bytes, std::max(limits.bytes / kSegmentsAtLeast, kLeastSegment));
}

Spool::Impl::~Impl() {
  if (shared_.look_only) return;
  (void)write();
  // With the numbers of what was written just now, so that damage to the last of it will be seen.
  if (const SpoolState now = state(); job_ == nullptr && on_disk_ != now)
    (void)state_file_.write(shared_.folder, now, false);
}

Result<> Spool::Impl::recover() {
  Result<std::vector<SegmentKey>> keys = shared_.folder.segments();
  if (keys.has_error()) return std::move(keys).error();
  const std::optional<SpoolState>& saved = state_file_.found();
  for (std::size_t i = 0; i < kStreams; ++i) {
    std::vector<SegmentKey> own;
    std::ranges::copy_if(*keys, std::back_inserter(own),
                         [i](const SegmentKey& key) { return key.stream == static_cast<Stream>(i); });
    Result<> recovered = logs_[i].recover(std::move(own), saved ? std::optional((*saved)[i]) : std::nullopt);
    if (recovered.has_error()) return recovered;
  }
  if (state_file_.damaged())
    sync_problem_ = "the state of the spool was damaged: records may be sent again, and drops are counted from 0";
  on_disk_ = saved;
  return {};
}

Error Spool::Impl::drop(Stream stream, DropCause cause, Error error) {
  log(stream).count(cause);
  return error;
}

// A second's worth may come at once. A clock that goes back gives nothing.
bool Spool::Impl::within_rate(WallTime now) {
  if (limits_.records_per_second == 0) return true;
  const double rate = limits_.records_per_second;
  if (now > refilled_)
    tokens_ = std::min(rate, tokens_ + rate * std::chrono::duration<double>(now - refilled_).count());
  refilled_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

bool Spool::Impl::memory_takes(Stream stream, std::uint64_t bytes) {
  const std::uint64_t most = stream <= Stream::conditions ? limits_.memory_bytes : limits_.memory_bytes / 4 * 3;
  const auto fits = [this, most, bytes] {
    std::uint64_t pending = 0;
    for (const StreamLog& one : logs_)
      pending += one.pending();
    return pending + bytes <= most || pending == 0;
  };
  return fits() || (!disk_takes_nothing_ && write().has_value() && fits());
}

Result<RecordNumber> Spool::Impl::append(Stream stream, WallTime time, std::string_view payload, WallTime now) {
  if (payload.size() > std::min<std::size_t>(limits_.record_bytes, kLongestRecord))
    return drop(stream, DropCause::too_large,
                fail(Code::invalid_argument, fmt::format("a record of {} bytes is larger than the {} allowed",
                                                         payload.size(), limits_.record_bytes)));
  if (!within_rate(now))
    return drop(stream, DropCause::rate,
                fail(Code::resource_exhausted,
                     fmt::format("more than {} records a second for the spool", limits_.records_per_second)));
  const std::uint64_t bytes = kRecordHeader + payload.size();
  if (!memory_takes(stream, bytes))
    return drop(stream, DropCause::disk,
                fail(Code::unavailable, "the disk takes no records, and memory for them is full: " + write_problem_));
  if (!make_room(bytes + kSegmentHeader, stream))
    return drop(stream, DropCause::size,
                fail(Code::resource_exhausted, "the spool is full of records that matter more"));
  return log(stream).append(time, payload, limits_.segment_bytes);
}

std::uint64_t Spool::Impl::live_bytes() const {
  std::uint64_t out = 0;
  for (const StreamLog& one : logs_)
    out += one.bytes();
  return out;
}

std::uint64_t Spool::Impl::retired_bytes() const {
  std::uint64_t out = 0;
  for (const StreamLog& one : logs_) {
    for (const RetiredSegment& segment : one.retired())
      out += segment.bytes;
  }
  return out;
}

bool Spool::Impl::may_go(const StreamLog& one, Stream for_stream) const {
  return limits_.eviction == Eviction::oldest_first || one.stream() >= for_stream;
}

// Whose segment goes next; null: what is there matters more.
StreamLog* Spool::Impl::victim(Stream for_stream) {
  StreamLog* out = nullptr;
  for (StreamLog& one : logs_) {
    if (one.segments().empty() || !may_go(one, for_stream)) continue;
    const bool by_priority = limits_.eviction == Eviction::priority;
    if (out == nullptr || by_priority || one.segments().front().first_time < out->segments().front().first_time)
      out = &one;
  }
  return out;
}

bool Spool::Impl::make_room(std::uint64_t bytes, Stream for_stream) {
  std::uint64_t staying = bytes;
  for (const StreamLog& one : logs_)
    staying += may_go(one, for_stream) ? 0 : one.bytes();
  if (staying > limits_.bytes) return false;
  while (live_bytes() + bytes > limits_.bytes) {
    StreamLog* const from = victim(for_stream);
    if (from == nullptr || !from->evict_front(DropCause::size)) return false;
    remove_retired();
  }
  // What is confirmed is removed by the next sync, unless room is needed before.
  if (job_ == nullptr && live_bytes() + retired_bytes() + bytes > limits_.bytes) remove_retired();
  return true;
}

// At once. Not being durable, the state may forget with a power loss that these were confirmed.
void Spool::Impl::remove_retired() {
  (void)write_state();
  for (StreamLog& one : logs_) {
    std::erase_if(one.retired(),
                  [this](const RetiredSegment& segment) { return shared_.folder.remove(segment.name).has_value(); });
  }
}

}  // namespace omnitide::telemetry
