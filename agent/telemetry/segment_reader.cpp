#include "agent/telemetry/segment_reader.hpp"

#include <algorithm>

namespace omnitide::telemetry {

namespace {
constexpr std::uint64_t kBlock = 4096;  // what is passed over where the disk gives nothing
}

std::string_view SegmentReader::window(std::size_t bytes) {
  unreadable_ = false;
  const std::uint64_t wanted = std::min<std::uint64_t>(bytes, end_ - offset_);
  const bool inside = offset_ >= window_begin_ && offset_ + wanted <= window_begin_ + window_.size();
  if (!inside) {
    const std::uint64_t most = std::min<std::uint64_t>(std::max<std::uint64_t>(wanted, kWindow), end_ - offset_);
    const Result<std::string_view> got = fetch_(offset_, static_cast<std::size_t>(most));
    unreadable_ = got.has_error() || got->empty();
    window_ = unreadable_ ? std::string_view() : *got;
    window_begin_ = offset_;
  }
  return window_.substr(static_cast<std::size_t>(offset_ - window_begin_));
}

bool SegmentReader::fits(const std::optional<RecordHeader>& header, std::uint64_t offset) const {
  return header && header->number > last_ && header->length <= end_ - offset - kRecordHeader;
}

// Where the next header is that is one. False: there is none.
bool SegmentReader::find_record() {
  offset_ = std::min(end_, unreadable_ ? (offset_ / kBlock + 1) * kBlock : offset_ + 1);
  while (offset_ + kRecordHeader <= end_) {
    const std::string_view bytes = window(kRecordHeader);
    std::size_t at = 0;
    for (; at + kRecordHeader <= bytes.size(); ++at) {
      if (!fits(decode_record_header(key_, bytes.substr(at)), offset_ + at)) continue;
      offset_ += at;
      return true;
    }
    if (at == 0) at = std::max<std::size_t>(bytes.size(), 1);  // up to the border
    offset_ = unreadable_ ? std::min(end_, (offset_ / kBlock + 1) * kBlock) : offset_ + at;
  }
  offset_ = end_;
  return false;
}

std::optional<SegmentItem> SegmentReader::next() {
  while (offset_ + kRecordHeader <= end_) {
    const std::optional<RecordHeader> header = decode_record_header(key_, window(kRecordHeader));
    if (!fits(header, offset_)) {
      if (!find_record()) break;
      continue;
    }
    SegmentItem out{.kind = header->floor ? SegmentItem::Kind::floor : SegmentItem::Kind::record,
                    .number = header->number,
                    .time = header->time,
                    .payload = {},
                    .begin = offset_,
                    .end = offset_ + kRecordHeader + header->length};
    const std::string_view bytes = window(kRecordHeader + header->length);
    if (bytes.size() >= kRecordHeader) out.payload = bytes.substr(kRecordHeader, header->length);
    if (!header->floor && !payload_is_whole(key_, *header, out.payload)) out.kind = SegmentItem::Kind::damaged;
    offset_ = out.end;
    last_ = header->number;
    return out;
  }
  return std::nullopt;
}

}  // namespace omnitide::telemetry
