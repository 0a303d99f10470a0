#include <fcntl.h>

#include <algorithm>

#include "agent/telemetry/stream_log.hpp"

namespace omnitide::telemetry {

struct StreamLog::Walk {
  const Take& take;
  RecordNumber expected;     // the next number that `take` is to see
  RecordNumber floor = 0;    // highest one met
  Cursor* cursor = nullptr;  // where the visit began, if it was known
};

std::size_t StreamLog::segment_of(RecordNumber number) const {
  const auto behind = std::ranges::upper_bound(segments_, number, {}, [](const Segment& s) { return s.key.first; });
  return static_cast<std::size_t>(std::max<std::ptrdiff_t>(behind - segments_.begin() - 1, 0));
}

// Of the last segment, what is in memory comes from there.
Result<std::string_view> StreamLog::fetch(const Segment& segment, std::uint64_t offset, std::size_t bytes) {
  const bool in_tail = &segment == &segments_.back() && !segment.sealed;
  if (in_tail && offset >= tail_begin_)
    return std::string_view(tail_).substr(static_cast<std::size_t>(offset - tail_begin_), bytes);
  if (in_tail) bytes = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, tail_begin_ - offset));
  SharedFd fd = segment.fd;
  if (!fd) {
    if (!read_fd_ || read_key_ != segment.key) {
      Result<SharedFd> opened = shared_.folder.open_file(segment_name(segment.key), O_RDONLY);
      if (opened.has_error()) return std::move(opened).error();
      read_fd_ = std::move(*opened);
      read_key_ = segment.key;
    }
    fd = read_fd_;
  }
  shared_.buffer.resize(bytes);
  const Result<std::size_t> got = read_at(fd->get(), shared_.buffer.data(), bytes, offset);
  if (got.has_error()) return got.error();
  return std::string_view(shared_.buffer).substr(0, *got);
}

bool StreamLog::note_gap(RecordNumber first, RecordNumber last) {
  first = std::max(first, state_.confirmed + 1);
  if (first > last) return true;
  return holes_.add(first, last, DropCause::corrupt);
}

// False: no further.
bool StreamLog::visit_segment(std::size_t index, Walk& walk) {
  const Segment& segment = segments_[index];
  const RecordNumber end = index + 1 < segments_.size() ? segments_[index + 1].key.first : state_.next;
  Cursor* const cursor = cursor_at(walk.expected, segment.key.first);
  if (cursor != nullptr) walk.cursor = cursor;
  RecordNumber at = cursor != nullptr ? cursor->number : segment.key.first;
  std::uint64_t offset = cursor != nullptr ? cursor->offset : kSegmentHeader;
  const SegmentReader::Fetch bytes = [this, &segment](std::uint64_t from, std::size_t count) {
    return fetch(segment, from, count);
  };
  SegmentReader reader(segment.key, offset, segment.bytes, bytes);
  while (const std::optional<SegmentItem> item = reader.next()) {
    if (item->number >= end) break;  // it stands in the next segment too
    offset = item->end;
    if (item->kind == SegmentItem::Kind::floor) {
      walk.floor = std::max(walk.floor, item->number);
      at = std::max(at, item->number + 1);
      continue;
    }
    if (item->number > at && !note_gap(at, item->number - 1)) return false;
    at = item->number + 1;
    if (item->kind == SegmentItem::Kind::damaged) {
      if (!note_gap(item->number, item->number)) return false;
      continue;
    }
    if (item->number < walk.expected || holes_.end_of(item->number) != 0) continue;
    if (!walk.take(*item)) {
      keep_cursor(walk, {item->number, segment.key.first, item->begin});
      return false;
    }
    walk.expected = at;
  }
  if (at < end && !note_gap(at, end - 1)) return false;
  walk.expected = std::max(walk.expected, end);
  if (index + 1 == segments_.size()) keep_cursor(walk, {walk.expected, segment.key.first, offset});
  return true;
}

void StreamLog::visit(RecordNumber from, const Take& take) {
  Walk walk{take, std::max(from, state_.confirmed + 1)};
  const std::uint64_t known = holes_.count();
  RecordNumber end = segments_.empty() ? state_.next : segments_.front().key.first;
  if (walk.expected < end) (void)note_gap(walk.expected, end - 1);  // nothing holds them
  for (std::size_t i = segment_of(walk.expected); i < segments_.size() && visit_segment(i, walk); ++i) {
  }
  if (shared_.buffer.capacity() > 2 * SegmentReader::kWindow) std::string().swap(shared_.buffer);
  if (walk.floor > state_.confirmed) {
    // Nobody knew, since the state was lost: these had left, and were counted, before.
    DropCounts ignored{};
    (void)holes_.take(walk.floor, ignored);
    state_.confirmed = walk.floor;
    front_.reset();
  }
  if (holes_.count() != known) leave(state_.confirmed, std::nullopt);
}

const StreamLog::Front& StreamLog::front() {
  if (front_) return *front_;
  Front out;
  visit(state_.confirmed + 1, [&out](const SegmentItem& item) {
    out = {item.number, item.time, item.begin};
    return false;
  });
  front_ = out;
  return *front_;
}

StreamLog::Cursor* StreamLog::cursor_at(RecordNumber number, RecordNumber segment) {
  for (Cursor& cursor : cursors_) {
    if (cursor.number == number && cursor.segment == segment) return &cursor;
  }
  return nullptr;
}

// A visit that went on where one ended before takes over its cursor: readers at several places keep theirs.
void StreamLog::keep_cursor(Walk& walk, Cursor place) {
  if (walk.cursor == nullptr) walk.cursor = &*std::ranges::min_element(cursors_, {}, &Cursor::used);
  place.used = ++uses_;
  *walk.cursor = place;
}

void StreamLog::forget_places() {
  cursors_ = {};
  front_.reset();
}

}  // namespace omnitide::telemetry
