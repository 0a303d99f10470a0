#include "agent/kubernetes/wire.hpp"

#include <boost/json.hpp>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/base/wire.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr std::string_view kMagic{"k8s\0", 4};
constexpr std::size_t kKeptCapacity = 64U << 10U;  // a buffer that one large object made is given back
// Field numbers of runtime.Unknown, of a list, of its metadata and of a WatchEvent.
constexpr std::uint32_t kUnknownRaw = 2, kListMetadata = 1, kListItem = 2, kListVersion = 2, kListContinue = 3,
                        kEventType = 1, kEventObject = 2, kRawBytes = 1;

Error no_watch(std::string_view why) { return fail(Code::data_loss, "the watch is not readable: " + std::string(why)); }
Error no_list(std::string_view why) { return fail(Code::data_loss, "the list is not readable: " + std::string(why)); }

Change change_of(std::string_view word) {
  if (word == "ADDED") return Change::added;
  if (word == "MODIFIED") return Change::modified;
  if (word == "DELETED") return Change::deleted;
  if (word == "BOOKMARK") return Change::bookmark;
  if (word == "ERROR") return Change::error;
  return Change::unknown;
}

std::optional<WatchFrame> event_of(std::string_view frame) {
  WatchFrame out;
  WireReader event(frame);
  while (const auto field = event.next()) {
    if (field->number == kEventType) out.change = change_of(field->bytes);
    if (field->number != kEventObject) continue;
    WireReader raw(field->bytes);
    while (const auto inner = raw.next())
      if (inner->number == kRawBytes) out.object = inner->bytes;
    if (!raw.good()) return std::nullopt;
  }
  if (!event.good()) return std::nullopt;
  // An object that has no protobuf form comes as JSON within a protobuf event.
  if (!out.object.empty() && out.object.front() == '{') out.encoding = Encoding::json;
  return out;
}

// `object` holds what the frame points to.
std::optional<WatchFrame> event_of_json(std::string_view line, std::string& object) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(line.data(), line.size()), problem);
  if (problem || !parsed.is_object()) return std::nullopt;
  const boost::json::value* type = parsed.get_object().if_contains("type");
  const boost::json::value* inner = parsed.get_object().if_contains("object");
  if (type == nullptr || !type->is_string() || inner == nullptr || !inner->is_object()) return std::nullopt;
  object = boost::json::serialize(*inner);
  const boost::json::string& word = type->get_string();
  return WatchFrame{.change = change_of({word.data(), word.size()}), .object = object, .encoding = Encoding::json};
}

}  // namespace

std::optional<std::string_view> unwrap(std::string_view text) {
  if (!text.starts_with(kMagic)) return std::nullopt;
  WireReader envelope(text.substr(kMagic.size()));
  std::string_view raw;
  while (const auto field = envelope.next())
    if (field->number == kUnknownRaw && field->wire == Wire::bytes) raw = field->bytes;
  if (!envelope.good()) return std::nullopt;
  return raw;
}

Result<std::optional<std::string_view>> WatchReader::frame() {
  using Found = std::optional<std::string_view>;
  const std::string_view rest = std::string_view(pending_).substr(at_);
  if (encoding_ == Encoding::json) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) {
      if (rest.size() > kMostObjectBytes) return no_watch("an event is too long");
      return Found();
    }
    at_ += end + 1;
    return Found(rest.substr(0, end));
  }
  constexpr std::size_t kLength = 4;
  if (rest.size() < kLength) return Found();
  std::size_t size = 0;
  for (std::size_t i = 0; i < kLength; ++i)
    size = size << 8U | static_cast<unsigned char>(rest[i]);
  if (size > kMostObjectBytes) return no_watch("an event is too long");
  if (rest.size() < kLength + size) return Found();
  at_ += kLength + size;
  return Found(rest.substr(kLength, size));
}

Result<> WatchReader::feed(std::string_view bytes, const Taker& take) {
  if (bytes.empty() || ended_) return {};
  if (!encoding_) encoding_ = bytes.front() == '{' ? Encoding::json : Encoding::protobuf;
  pending_.append(bytes);
  std::string object;
  while (!ended_) {
    const Result<std::optional<std::string_view>> found = frame();
    if (found.has_error()) return found.error();
    if (!*found) break;
    const bool json = encoding_ == Encoding::json;
    if (json && trim(**found).empty()) continue;
    const std::optional<WatchFrame> event = json ? event_of_json(**found, object) : event_of(**found);
    if (!event) return no_watch("an event is none");
    ended_ = !take(*event);
  }
  pending_.erase(0, std::exchange(at_, 0));
  if (pending_.empty() && pending_.capacity() > kKeptCapacity) std::string().swap(pending_);
  return {};
}

Result<> ListReader::metadata(std::string_view message) {
  WireReader fields(message);
  while (const auto field = fields.next()) {
    if (field->number == kListVersion) version_ = field->bytes;
    if (field->number == kListContinue) continue_ = field->bytes;
  }
  if (!fields.good()) return no_list("its metadata is none");
  return {};
}

// Takes one field off the front of `rest`; false: more has to come first.
Result<bool> ListReader::step(std::string_view& rest, const Taker& take) {
  if (stage_ == Stage::magic) {
    const std::size_t known = std::min(rest.size(), kMagic.size());
    if (rest.substr(0, known) != kMagic.substr(0, known)) return no_list("it is not in protobuf");
    if (known < kMagic.size()) return false;
    rest.remove_prefix(kMagic.size());
    stage_ = Stage::envelope;
    return true;
  }
  if (stage_ == Stage::list && left_ == 0) stage_ = Stage::envelope;
  if (rest.empty()) return false;
  constexpr std::size_t kLongestHead = 16;  // two numbers
  const std::size_t before = rest.size();
  WireReader head(rest);
  const std::optional<std::uint64_t> key = head.varint();
  const std::optional<std::uint64_t> size = key ? head.varint() : std::nullopt;
  if (!size) {
    if (rest.size() > kLongestHead) return no_list("a field is none");
    return false;
  }
  const auto number = static_cast<std::uint32_t>(*key >> 3U);
  const auto wire = static_cast<Wire>(*key & 7U);
  const std::size_t head_size = before - head.left();
  if (wire != Wire::bytes && wire != Wire::varint) return no_list("a field has another form");
  const bool opens = stage_ == Stage::envelope && number == kUnknownRaw && wire == Wire::bytes;
  const std::uint64_t payload = opens || wire == Wire::varint ? 0 : *size;
  if (payload > kMostObjectBytes) return no_list("an object is too long");
  if (stage_ == Stage::list && head_size + payload > left_) return no_list("an object is longer than the list");
  if (rest.size() < head_size + payload) return false;
  const std::string_view message = rest.substr(head_size, payload);
  rest.remove_prefix(head_size + payload);
  if (opens) {
    if (had_list_) return no_list("there are two");
    had_list_ = true;
    stage_ = Stage::list;
    left_ = *size;
    return true;
  }
  if (stage_ != Stage::list) return true;
  left_ -= head_size + payload;
  if (wire == Wire::bytes && number == kListItem) take(message);
  if (wire == Wire::bytes && number == kListMetadata) {
    if (Result<> read = metadata(message); read.has_error()) return read.error();
  }
  return true;
}

Result<> ListReader::feed(std::string_view bytes, const Taker& take) {
  pending_.append(bytes);
  std::string_view rest = pending_;
  while (true) {
    const Result<bool> more = step(rest, take);
    if (more.has_error()) return more.error();
    if (!*more) break;
  }
  pending_.erase(0, pending_.size() - rest.size());
  return {};
}

bool ListReader::whole() const { return had_list_ && left_ == 0 && pending_.empty(); }

}  // namespace omnitide::kubernetes
