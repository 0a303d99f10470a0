// The reader of segments over every kind of damage.
#include <map>
#include <string>
#include <vector>

#include "agent/base/random.hpp"
#include "agent/telemetry/segment_reader.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using std::chrono::milliseconds;

namespace {

const SegmentKey kKey{Stream::facts, 0x9f3c1d2e, 41};

struct Written {
  std::string bytes;
  std::map<RecordNumber, std::string> payloads;
  std::vector<std::size_t> ends;  // of the records
};

Written make_segment(std::size_t records, std::size_t longest = 40) {
  Written out;
  out.bytes = encode_segment_header({kKey, 40, WallTime{milliseconds{5}}});
  for (std::size_t i = 0; i < records; ++i) {
    const RecordNumber number = kKey.first + i;
    out.payloads[number] = random_bytes(i * 7 % longest);
    append_record(out.bytes, kKey, number, WallTime{milliseconds{1000 + i}}, out.payloads[number]);
    out.ends.push_back(out.bytes.size());
  }
  return out;
}

std::map<RecordNumber, std::string> read_all(std::string_view bytes, std::size_t* damaged = nullptr) {
  std::map<RecordNumber, std::string> out;
  const SegmentReader::Fetch fetch = [bytes](std::uint64_t offset, std::size_t count) {
    return Result<std::string_view>(bytes.substr(static_cast<std::size_t>(offset), count));
  };
  SegmentReader reader(kKey, kSegmentHeader, bytes.size(), fetch);
  while (const auto item = reader.next()) {
    if (item->kind == SegmentItem::Kind::damaged && damaged != nullptr) ++*damaged;
    if (item->kind == SegmentItem::Kind::record) out[item->number] = std::string(item->payload);
  }
  return out;
}

}  // namespace

TEST_CASE("a name of a segment says what is needed to read it, and no other name is taken for one") {
  CHECK(segment_name(kKey) == "facts-0000000000000029-9f3c1d2e.seg");
  CHECK(parse_segment_name("facts-0000000000000029-9f3c1d2e.seg") == kKey);
  for (const char* name : {"", ".seg", "facts-0000000000000029-9f3c1d2e.seg.new", "fact-0000000000000029-9f3c1d2e.seg",
                           "facts-0000000000000000-9f3c1d2e.seg", "facts-0000000000000029-9F3C1D2E.seg",
                           "facts-+000000000000029-9f3c1d2e.seg", "facts-29-9f3c1d2e.seg", "state"})
    CHECK_FALSE(parse_segment_name(name));
}

TEST_CASE("the header of a segment is read back, and no other") {
  const std::string bytes = encode_segment_header({kKey, 40, WallTime{milliseconds{-5}}});
  const auto header = decode_segment_header(kKey, bytes);
  REQUIRE(header);
  CHECK(header->floor == 40);
  CHECK(header->first_time == WallTime{milliseconds{-5}});
  CHECK_FALSE(decode_segment_header({Stream::facts, 0x9f3c1d2e, 42}, bytes));
  CHECK_FALSE(decode_segment_header(kKey, std::string_view(bytes).substr(0, bytes.size() - 1)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    REQUIRE_FALSE(decode_segment_header(kKey, damaged));
  }
}

TEST_CASE("a segment cut anywhere gives the records before the cut") {
  const Written written = make_segment(40);
  for (std::size_t length = kSegmentHeader; length <= written.bytes.size(); ++length) {
    const auto whole = static_cast<std::size_t>(std::ranges::upper_bound(written.ends, length) - written.ends.begin());
    const auto got = read_all(std::string_view(written.bytes).substr(0, length));
    REQUIRE(got.size() == whole);
    for (const auto& [number, payload] : got)
      REQUIRE(written.payloads.at(number) == payload);
  }
}

TEST_CASE("a flipped bit costs one record, wherever it is") {
  const Written written = make_segment(40);
  for (std::size_t bit = kSegmentHeader * 8; bit < written.bytes.size() * 8; ++bit) {
    std::string bytes = written.bytes;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    const auto got = read_all(bytes);
    REQUIRE(got.size() == written.payloads.size() - 1);
    for (const auto& [number, payload] : got)
      REQUIRE(written.payloads.at(number) == payload);
  }
}

TEST_CASE("any part that is overwritten costs the records in it") {
  const Written written = make_segment(60);
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = written.bytes;
    const std::size_t begin = kSegmentHeader + random_u64() % (bytes.size() - kSegmentHeader);
    const std::size_t length = std::min<std::size_t>(random_u64() % 300, bytes.size() - begin);
    bytes.replace(begin, length, round % 2 == 0 ? std::string(length, '\0') : random_bytes(length));
    std::size_t untouched = 0, from = kSegmentHeader;
    for (const std::size_t end : written.ends) {
      if (length == 0 || end <= begin || from >= begin + length) ++untouched;
      from = end;
    }
    const auto got = read_all(bytes);
    REQUIRE(got.size() >= untouched);
    for (const auto& [number, payload] : got)
      REQUIRE(written.payloads.at(number) == payload);
  }
}

TEST_CASE("a payload that holds records is not taken for them when its own header is damaged") {
  std::string inner;
  append_record(inner, {Stream::facts, 0, 41}, 43, {}, "forged");  // the salt is not known to whoever writes payloads
  std::string bytes = encode_segment_header({kKey, 40, {}});
  append_record(bytes, kKey, 41, {}, inner + inner);
  append_record(bytes, kKey, 42, {}, "true");
  bytes[kSegmentHeader] ^= 1;
  const auto got = read_all(bytes);
  CHECK(got == std::map<RecordNumber, std::string>{{42, "true"}});
}

TEST_CASE("what a disk does not give is passed over, the rest is read") {
  const Written written = make_segment(3000);
  const std::uint64_t bad = 3 * 4096;
  const SegmentReader::Fetch fetch = [&written, bad](std::uint64_t offset, std::size_t count) {
    if (offset >= bad && offset < bad + 4096) return Result<std::string_view>(fail(Code::internal, "EIO"));
    if (offset < bad) count = std::min<std::size_t>(count, bad - offset);
    return Result<std::string_view>(std::string_view(written.bytes).substr(offset, count));
  };
  SegmentReader reader(kKey, kSegmentHeader, written.bytes.size(), fetch);
  std::size_t got = 0, touched = 0, from = kSegmentHeader;
  while (const auto item = reader.next())
    got += item->kind == SegmentItem::Kind::record ? 1U : 0U;
  for (const std::size_t end : written.ends) {
    if (end > bad && from < bad + 4096) ++touched;
    from = end;
  }
  CHECK(got == written.payloads.size() - touched);
}
