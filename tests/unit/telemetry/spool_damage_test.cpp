// What is torn or damaged on disk: it is counted, and the rest is there.
#include <fstream>

#include "agent/telemetry/segment_format.hpp"
#include "agent/telemetry/spool.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;

namespace {

void write_text(const std::filesystem::path& path, std::string_view content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  REQUIRE(out);
}

void copy_folder(const std::string& from, const std::string& to) {
  std::filesystem::remove_all(to);
  std::filesystem::copy(from, to);
}

// Three segments of six records.
void make_spool(const std::string& folder) {
  SpoolLimits limits;
  limits.segment_bytes = 64 + 6 * 64;
  auto spool = open_spool(folder, limits);
  for (int i = 0; i < 18; ++i)
    put(*spool, Stream::facts, 40);
  sync(*spool);
  REQUIRE(segment_files(folder).size() == 3);
}

}  // namespace

TEST_CASE("a segment cut anywhere: the records before the cut and the other segments are there, the rest is counted") {
  const QuickFolder tree;
  const std::string original = tree.path() + "/a", copy = tree.path() + "/b";
  make_spool(original);
  for (std::size_t which = 0; which < 3; ++which) {
    const std::string bytes = read_text(segment_files(original)[which].string());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      copy_folder(original, copy);
      write_text(segment_files(copy)[which], std::string_view(bytes).substr(0, length));
      const std::uint64_t whole = length < 64 ? 0 : (length - 64) / 64;
      auto spool = open_spool(copy);
      const auto got = numbers(*spool, Stream::facts, 0, 5);
      REQUIRE(got.size() == 12 + whole);
      REQUIRE(dropped(*spool, Stream::facts, DropCause::corrupt) == 6 - whole);
      REQUIRE(status_of(*spool, Stream::facts).records == 12 + whole);
      REQUIRE(put(*spool, Stream::facts) == 19);
      REQUIRE(numbers(*spool, Stream::facts).size() == got.size() + 1);
      spool->confirm(Stream::facts, 19);
      REQUIRE(status_of(*spool, Stream::facts).confirmed == got.size() + 1);
      spool = nullptr;
      REQUIRE(dropped(*open_spool(copy), Stream::facts, DropCause::corrupt) == 6 - whole);
    }
  }
}

TEST_CASE("a flipped bit anywhere costs at most one record, which is counted once") {
  const QuickFolder tree;
  const std::string original = tree.path() + "/a", copy = tree.path() + "/b";
  make_spool(original);
  for (std::size_t which = 0; which < 3; ++which) {
    const std::string bytes = read_text(segment_files(original)[which].string());
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      copy_folder(original, copy);
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
      write_text(segment_files(copy)[which], damaged);
      const std::uint64_t lost = at < 64 ? 0 : 1;
      for (int round = 0; round < 3; ++round) {
        auto spool = open_spool(copy);
        const auto got = numbers(*spool, Stream::facts, 0, 5);
        REQUIRE(got.size() == 18 - lost + static_cast<std::size_t>(round));
        REQUIRE(dropped(*spool, Stream::facts, DropCause::corrupt) == lost);
        put(*spool, Stream::facts, 40);
      }
      auto spool = open_spool(copy);
      REQUIRE(numbers(*spool, Stream::facts).size() == 21 - lost);
      spool->confirm(Stream::facts, 21);
      REQUIRE(dropped(*spool, Stream::facts, DropCause::corrupt) == lost);
      REQUIRE(status_of(*spool, Stream::facts).records == 0);
    }
  }
}

TEST_CASE("the state of the spool with a flipped bit anywhere is the one before it; without any, records come again") {
  const QuickFolder tree;
  const std::string original = tree.path() + "/a", copy = tree.path() + "/b";
  {
    auto spool = open_spool(original);
    for (RecordNumber i = 1; i <= 10; ++i) {
      put(*spool, Stream::facts);
      spool->confirm(Stream::facts, i / 2);
      (void)spool->append(Stream::events, kNow, std::string(2U << 20U, 'x'), kNow);
      sync(*spool);
    }
  }
  const std::string bytes = read_text(original + "/state");
  REQUIRE(bytes.size() == 3 * 4096);
  std::uint64_t newest = 0, before = 0;
  for (std::size_t at = 0; at < bytes.size(); at += at % 4096 >= 600 && at % 4096 < 4000 ? 50U : 1U) {
    copy_folder(original, copy);
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << at % 8);
    write_text(copy + "/state", damaged);
    auto spool = open_spool(copy);
    const std::uint64_t counted = dropped(*spool, Stream::events, DropCause::too_large);
    REQUIRE(counted >= 9);
    (counted == 10 ? newest : before) += 1;
    REQUIRE(numbers(*spool, Stream::facts).back() == 10);
    REQUIRE(numbers(*spool, Stream::facts).size() == (counted == 10 ? 5 : 6));
    REQUIRE(put(*spool, Stream::facts) == 11);
  }
  CHECK(newest > 400);
  CHECK(before > 400);
  copy_folder(original, copy);
  write_text(copy + "/state", "nothing of use");
  auto spool = open_spool(copy);
  CHECK(spool->status().problem.starts_with("the state of the spool was damaged"));
  CHECK(numbers(*spool, Stream::facts) == range(1, 10));
  sync(*spool);
  CHECK(spool->status().problem.empty());
}

TEST_CASE("many damaged records are counted, however they lie") {
  const QuickFolder tree;
  {
    auto spool = open_spool(tree.path());
    for (int i = 0; i < 6000; ++i)
      put(*spool, Stream::flows, 40);
  }
  const auto file = segment_files(tree.path()).at(0);
  std::string bytes = read_text(file.string());
  for (std::size_t i = 0; i < 6000; i += 2)
    bytes[64 + i * 64 + 30] ^= 1;
  write_text(file, bytes);
  auto spool = open_spool(tree.path());
  RecordNumber last = 0;
  std::size_t got = 0;
  for (int rounds = 0; last < 6000 && rounds < 100; ++rounds) {
    const auto some = read_all(*spool, Stream::flows, last, 500);
    REQUIRE_FALSE(some.empty());
    last = some.back().number;
    got += some.size();
    CHECK(spool->status().memory_bytes < 300'000);
    spool->confirm(Stream::flows, last);
  }
  CHECK(got == 3000);
  CHECK(dropped(*spool, Stream::flows, DropCause::corrupt) == 3000);
  CHECK(status_of(*spool, Stream::flows).confirmed == 3000);
}

TEST_CASE("a segment that somebody removed is counted, the others are read") {
  const QuickFolder tree;
  make_spool(tree.path());
  std::filesystem::remove(segment_files(tree.path())[1]);
  auto spool = open_spool(tree.path());
  const auto got = numbers(*spool, Stream::facts);
  CHECK(got.size() == 12);
  CHECK(got.back() == 18);
  CHECK(dropped(*spool, Stream::facts, DropCause::corrupt) == 6);
}
