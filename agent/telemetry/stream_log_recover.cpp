#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/telemetry/stream_log.hpp"

namespace omnitide::telemetry {

Result<> StreamLog::recover(std::vector<SegmentKey> keys, const std::optional<StreamState>& saved) {
  if (saved) state_ = *saved;
  for (const SegmentKey& key : keys) {
    if (Result<> adopted = adopt(key); adopted.has_error()) return adopted;
  }
  taken_ = state_.next - 1;
  if (segments_.empty()) return {};
  // Segments whose records were confirmed are removed only when that is durable. Others that are missing went with a
  // power loss: they were never synced, or were evicted and the state that says so was not. Which one cannot be told.
  const RecordNumber before = segments_.front().key.first - 1;
  const RecordNumber known = std::max(state_.confirmed, segments_.front().floor);
  if (saved && before > known) state_.dropped[static_cast<std::size_t>(DropCause::corrupt)] += before - known;
  state_.confirmed = std::max(state_.confirmed, before);
  for (const Segment& segment : segments_)
    state_.confirmed = std::max(state_.confirmed, segment.floor);
  state_.next = std::max(state_.next, segments_.back().key.first);
  recover_last();
  state_.next = std::max(state_.next, state_.confirmed + 1);
  taken_ = state_.next - 1;
  retire_left();
  return {};
}

Result<> StreamLog::adopt(const SegmentKey& key) {
  const Result<SharedFd> fd = shared_.folder.open_file(segment_name(key), O_RDONLY);
  if (fd.has_error()) return fd.error().code == Code::not_found ? Result<>() : Result<>(fd.error());
  struct stat info {};
  if (::fstat((*fd)->get(), &info) != 0) return fail_errno(errno, "cannot read " + segment_name(key));
  std::string bytes(kSegmentHeader, '\0');
  const Result<std::size_t> got = read_at((*fd)->get(), bytes.data(), bytes.size(), 0);
  const auto header = got.has_value() ? decode_segment_header(key, bytes.substr(0, *got)) : std::nullopt;
  Segment segment;
  segment.key = key;
  segment.bytes = segment.written = static_cast<std::uint64_t>(info.st_size);
  segment.sealed = true;
  if (header) segment.floor = header->floor, segment.first_time = header->first_time;
  if (!segments_.empty() && segments_.back().key.first == key.first) {  // a copy that replaces the other
    if (segments_.back().bytes < segment.bytes) {
      bytes_ += segment.bytes - segments_.back().bytes;
      std::swap(segments_.back(), segment);
    }
    retired_.push_back({segment_name(segment.key), segment.bytes});
    return {};
  }
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  return {};
}

// The last write may be torn: what stands behind the last whole record goes.
void StreamLog::recover_last() {
  Segment& last = segments_.back();
  const SegmentReader::Fetch bytes = [this, &last](std::uint64_t from, std::size_t count) {
    return fetch(last, from, count);
  };
  std::uint64_t whole = kSegmentHeader;
  SegmentReader reader(last.key, kSegmentHeader, last.bytes, bytes);
  while (const std::optional<SegmentItem> item = reader.next()) {
    if (item->kind == SegmentItem::Kind::damaged) continue;
    whole = item->end;
    if (item->kind == SegmentItem::Kind::floor) state_.confirmed = std::max(state_.confirmed, item->number);
    state_.next = std::max(state_.next, item->number + 1);
  }
  const Result<std::string_view> start = fetch(last, 0, kSegmentHeader);
  if (start.has_error() || !decode_segment_header(last.key, *start)) return;  // to be read, not to be continued
  Result<SharedFd> fd = shared_.folder.open_file(segment_name(last.key), shared_.look_only ? O_RDONLY : O_RDWR);
  if (fd.has_value()) {
    if (last.bytes > whole && !shared_.look_only) (void)!::ftruncate((*fd)->get(), static_cast<off_t>(whole));
    last.fd = std::move(*fd);
  }
  bytes_ -= last.bytes - whole;
  last.bytes = last.written = tail_begin_ = whole;
  last.sealed = false;
}

struct StreamLog::Copy {
  SegmentKey key;  // first 0: there is nothing to be copied
  std::string content;
};

StreamLog::Copy StreamLog::copy_unsynced(std::size_t index) {
  const Segment& segment = segments_[index];
  const RecordNumber end = index + 1 < segments_.size() ? segments_[index + 1].key.first : state_.next;
  const SegmentReader::Fetch bytes = [this, &segment](std::uint64_t from, std::size_t count) {
    return fetch(segment, from, count);
  };
  Copy out;
  SegmentReader reader(segment.key, std::max<std::uint64_t>(segment.synced, kSegmentHeader), segment.bytes, bytes);
  while (const std::optional<SegmentItem> item = reader.next()) {
    if (item->number >= end) break;
    if (item->kind != SegmentItem::Kind::record || item->number <= state_.confirmed) continue;
    if (out.key.first == 0) {
      out.key = {stream_, segment.key.salt + 1, item->number};
      out.content = encode_segment_header({out.key, state_.confirmed, item->time});
    }
    append_record(out.content, out.key, item->number, item->time, item->payload);
  }
  return out;
}

// A failed sync leaves pages that count as clean and may never reach the disk: only a new file with the same records
// will do. What cannot be read back is found damaged later, and counted then.
Result<> StreamLog::rewrite(std::size_t index) {
  Copy copy = copy_unsynced(index);
  const bool last = index + 1 == segments_.size() && !segments_[index].sealed;
  const std::uint64_t kept = segments_[index].synced > kSegmentHeader ? segments_[index].synced : 0;
  Segment fresh;
  if (copy.key.first != 0) {
    const std::string name = segment_name(copy.key), unfinished = name + ".new";
    Result<SharedFd> fd = shared_.folder.open_file(unfinished, O_RDWR | O_CREAT | O_TRUNC);
    if (fd.has_error()) return std::move(fd).error();
    fresh.fd = std::move(*fd);
    Result<> wrote = write_at(fresh.fd->get(), copy.content, 0, fresh.written);
    const int folder = shared_.folder.fd()->get();
    if (wrote.has_value() && ::renameat(folder, unfinished.c_str(), folder, name.c_str()) != 0)
      wrote = fail_errno(errno, "cannot rename " + unfinished);
    if (wrote.has_error()) {
      (void)shared_.folder.remove(unfinished);
      return wrote;
    }
    shared_.folder_dirty = true;
    fresh.key = copy.key;
    fresh.floor = state_.confirmed;
    fresh.bytes = fresh.written;
    fresh.sealed = !last;
    if (const auto header = decode_segment_header(copy.key, copy.content)) fresh.first_time = header->first_time;
  }
  Segment& old = segments_[index];
  if (old.fd && kept > 0) (void)!::ftruncate(old.fd->get(), static_cast<off_t>(kept));
  bytes_ -= old.bytes;
  if (kept == 0) retired_.push_back({segment_name(old.key), old.written});
  old.bytes = old.written = old.synced = kept;
  old.sealed = true;
  old.suspect = false;
  old.fd.reset();
  bytes_ += kept + fresh.bytes;
  const auto place = segments_.begin() + static_cast<std::ptrdiff_t>(index);
  if (last) tail_.clear(), tail_begin_ = fresh.bytes, partial_ = false, floor_due_ = false;
  if (fresh.bytes > 0) segments_.insert(place + 1, std::move(fresh));
  if (kept == 0) segments_.erase(segments_.begin() + static_cast<std::ptrdiff_t>(index));
  read_fd_.reset();
  forget_places();
  return {};
}

Result<> StreamLog::rewrite_suspects() {
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (!segments_[i].suspect) continue;
    if (Result<> done = rewrite(i); done.has_error()) return done;
  }
  return {};
}

}  // namespace omnitide::telemetry
