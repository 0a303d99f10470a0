#include "agent/telemetry/stream_log.hpp"

#include <fcntl.h>

#include <algorithm>

#include "agent/base/random.hpp"

namespace omnitide::telemetry {

namespace {

// Of the ranges what is between the two. The number of a record that is not written may be given out again after a
// kill, to a record that nobody has.
DeliveredRanges within(const DeliveredRanges& ranges, RecordNumber confirmed, RecordNumber next) {
  DeliveredRanges out{};
  std::size_t count = 0;
  for (const NumberRange& range : ranges) {
    const RecordNumber first = std::max(range.first, confirmed + 1), last = std::min(range.last, next - 1);
    if (range.first != 0 && first <= last) out.at(count++) = {first, last};
  }
  return out;
}

}  // namespace

std::uint64_t StreamLog::pending() const {
  return segments_.empty() ? 0 : segments_.back().bytes - segments_.back().written;
}

std::uint64_t StreamLog::memory() const {
  return tail_.capacity() + segments_.size() * sizeof(Segment) + holes_.memory() +
         retired_.capacity() * sizeof(RetiredSegment);
}

RecordNumber StreamLog::append(WallTime time, std::string_view payload, std::uint64_t roll_at) {
  const std::size_t size = kRecordHeader + payload.size();
  if (segments_.empty() || segments_.back().sealed) {
    begin_segment(time);
  } else {
    const Segment& last = segments_.back();
    const bool full = (last.bytes + size > roll_at && last.bytes > kSegmentHeader) ||
                      state_.next - last.key.first > kMostInSegment / 2;
    // Only the last segment may be in memory: while the disk takes nothing, it grows as far as memory is allowed.
    if (full && write(false).has_value()) begin_segment(time);
  }
  Segment& last = segments_.back();
  if (floor_due_) append_floor(tail_, last.key, state_.confirmed);
  floor_due_ = false;
  append_record(tail_, last.key, state_.next, time, payload);
  bytes_ += tail_begin_ + tail_.size() - last.bytes;
  last.bytes = tail_begin_ + tail_.size();
  if (front_ && front_->number == 0) front_.reset();
  ++appended_;
  return state_.next++;
}

void StreamLog::begin_segment(WallTime time) {
  if (!segments_.empty()) segments_.back().sealed = true;
  Segment segment;
  segment.key = {stream_, static_cast<std::uint32_t>(random_u64()), state_.next};
  segment.floor = state_.confirmed;
  segment.first_time = time;
  segment.bytes = kSegmentHeader;
  tail_ = encode_segment_header({segment.key, segment.floor, time});
  tail_begin_ = 0;
  floor_due_ = false;
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  if (segments_.size() > kOpenFiles) segments_[segments_.size() - 1 - kOpenFiles].fd.reset();
  retire_left();
}

Result<> StreamLog::write(bool may_skip) {
  if (may_skip && !partial_ && pending() > 0) skip_confirmed();
  if (pending() == 0) {
    taken_ = state_.next - 1;
    return {};
  }
  Segment& last = segments_.back();
  if (!last.fd) {
    const bool fresh = last.written == 0;
    Result<SharedFd> fd =
        shared_.folder.open_file(segment_name(last.key), fresh ? O_RDWR | O_CREAT | O_EXCL : int{O_RDWR});
    if (fd.has_error()) return std::move(fd).error();
    last.fd = std::move(*fd);
    shared_.folder_dirty = shared_.folder_dirty || fresh;
  }
  const std::uint64_t before = last.written;
  Result<> wrote =
      write_at(last.fd->get(), std::string_view(tail_).substr(static_cast<std::size_t>(before - tail_begin_)), before,
               last.written);
  if (wrote.has_error()) {
    partial_ = partial_ || last.written != before;
    return std::move(wrote).error().within(segment_name(last.key));
  }
  partial_ = false;
  taken_ = state_.next - 1;
  trim_tail();
  return {};
}

StreamState StreamLog::to_save(bool with_memory) const {
  StreamState out = state_;
  if (!with_memory) out.next = std::max(taken_, state_.confirmed) + 1;
  out.delivered = within(state_.delivered, out.confirmed, out.next);
  return out;
}

// Asked at each write, nearly always with nothing delivered beyond the confirmed.
bool StreamLog::is_in(const StreamState& saved, bool with_memory) const {
  if (state_.confirmed != saved.confirmed || state_.dropped != saved.dropped) return false;
  if (state_.delivered.front().first == 0) return saved.delivered.front().first == 0;
  return to_save(with_memory).delivered == saved.delivered;
}

// Takes the confirmed records out of what is to be written.
void StreamLog::skip_confirmed() {
  Segment& last = segments_.back();
  const bool fresh = last.written == 0;
  const std::size_t begin = fresh ? kSegmentHeader : static_cast<std::size_t>(last.written - tail_begin_);
  std::size_t at = begin;
  while (at < tail_.size()) {
    const auto header = decode_record_header(last.key, std::string_view(tail_).substr(at));
    if (!header || header->number > state_.confirmed) break;
    at += kRecordHeader + header->length;
  }
  if (at == begin) return;
  forget_places();
  if (fresh && at == tail_.size()) {
    bytes_ -= last.bytes;
    segments_.pop_back();
    tail_.clear();
    tail_begin_ = 0;
    return;
  }
  std::string floor;
  if (fresh) {
    last.floor = state_.confirmed;
    tail_.replace(0, kSegmentHeader, encode_segment_header({last.key, last.floor, last.first_time}));
  } else if (at < tail_.size()) {
    append_floor(floor, last.key, state_.confirmed);
  } else {
    floor_due_ = true;
  }
  tail_.replace(begin, at - begin, floor);
  bytes_ -= last.bytes - (tail_begin_ + tail_.size());
  last.bytes = tail_begin_ + tail_.size();
}

void StreamLog::trim_tail() {
  const Segment& last = segments_.back();
  if (last.written - tail_begin_ <= kHeld) return;
  tail_.erase(0, static_cast<std::size_t>(last.written - tail_begin_));
  tail_begin_ = last.written;
  if (tail_.capacity() > 4 * kHeld) tail_.shrink_to_fit();
}

void StreamLog::leave(RecordNumber through, std::optional<DropCause> cause) {
  through = std::min(through, state_.next - 1);
  if (through > state_.confirmed) {
    std::uint64_t left = through - state_.confirmed;
    left -= holes_.take(through, state_.dropped);
    (cause ? state_.dropped[static_cast<std::size_t>(*cause)] : confirmed_) += left;
    state_.confirmed = through;
    front_.reset();
  }
  while (const RecordNumber end = holes_.end_of(state_.confirmed + 1)) {
    (void)holes_.take(end, state_.dropped);
    state_.confirmed = end;
    front_.reset();
  }
  if (state_.confirmed + 1 == state_.next && pending() == 0 && tail_.capacity() > kIdleTail) release_tail();
  retire_left();
}

// Nobody will read it: all of it is written, and has left.
void StreamLog::release_tail() {
  if (segments_.empty() || segments_.back().sealed) return;
  std::string().swap(tail_);
  tail_begin_ = segments_.back().written;
}

void StreamLog::refuse(RecordNumber number) {
  if (number <= state_.confirmed || number >= state_.next) return;
  if (holes_.add(number, number, DropCause::refused)) leave(state_.confirmed, std::nullopt);
}

// Segments of which no record is left, but for the last one, which goes on.
void StreamLog::retire_left() {
  while (segments_.size() > 1 && segments_[1].key.first <= state_.confirmed + 1)
    retire(0);
}

void StreamLog::retire(std::size_t index) {
  const Segment& segment = segments_[index];
  bytes_ -= segment.bytes;
  if (segment.written > 0 || segment.fd) retired_.push_back({segment_name(segment.key), segment.written});
  segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(index));
  front_.reset();
}

bool StreamLog::evict_front(DropCause cause) {
  if (segments_.empty()) return false;
  const bool only = segments_.size() == 1;
  leave(only ? state_.next - 1 : segments_[1].key.first - 1, cause);
  if (only) {
    retire(0);
    tail_.clear();
    tail_begin_ = 0;
    partial_ = floor_due_ = false;
    forget_places();
  }
  return true;
}

void StreamLog::expire(WallTime limit) {
  // The next segment's first record is old: so are all before it.
  while (segments_.size() > 1 && segments_[0].first_time < limit && segments_[1].first_time != WallTime{} &&
         segments_[1].first_time < limit)
    (void)evict_front(DropCause::age);
  RecordNumber last = 0;
  visit(state_.confirmed + 1, [&last, limit](const SegmentItem& item) {
    if (item.time >= limit) return false;
    last = item.number;
    return true;
  });
  if (last > 0) leave(last, DropCause::age);
}

StreamStatus StreamLog::status() {
  const Front place = front();
  StreamStatus out;
  out.first = place.number;
  out.next = state_.next;
  out.records = state_.next - 1 - state_.confirmed - holes_.count();
  out.bytes = place.number == 0 ? 0 : bytes_ - place.passed_bytes;
  out.oldest = place.time;
  out.appended = appended_;
  out.confirmed = confirmed_;
  out.dropped = state_.dropped;
  holes_.add_to(out.dropped);
  return out;
}

}  // namespace omnitide::telemetry
