#include "agent/telemetry/spool.hpp"

#include <algorithm>
#include <fstream>
#include <initializer_list>

#include "tests/harness/child.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

TEST_CASE("records come out as they went in, each stream in its own order, from memory and from disk") {
  const TempTree tree;
  auto spool = open_spool(tree.path() + "/spool");
  for (int i = 0; i < 250; ++i) {
    put(*spool, Stream::events);
    if (i % 2 == 0) put(*spool, Stream::metrics, 5000);
    if (i % 70 == 0) REQUIRE(spool->write());
  }
  CHECK(numbers(*spool, Stream::events) == range(1, 250));
  CHECK(numbers(*spool, Stream::metrics, 7, 3) == range(8, 125));
  CHECK(read_all(*spool, Stream::flows).empty());
  const std::vector<Record> some = read_all(*spool, Stream::metrics, 124);
  REQUIRE(some.size() == 1);
  CHECK(some[0].payload == payload_of(125, 5000));
  CHECK(some[0].time == kNow);
  spool.reset();
  spool = open_spool(tree.path() + "/spool");
  CHECK(numbers(*spool, Stream::events) == range(1, 250));
  CHECK(numbers(*spool, Stream::metrics) == range(1, 125));
  CHECK(put(*spool, Stream::events) == 251);
  CHECK(numbers(*spool, Stream::events, 248) == range(249, 251));
}

TEST_CASE("a read keeps to its bounds, and gives at least one record") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  for (int i = 0; i < 20; ++i)
    put(*spool, Stream::facts, 1000);
  CHECK(spool->read(Stream::facts, 0, 7, 1U << 20U)->size() == 7);
  CHECK(spool->read(Stream::facts, 0, 100, 3500)->size() == 3);
  CHECK(spool->read(Stream::facts, 19, 100, 1)->size() == 1);
  CHECK(spool->read(Stream::facts, 20, 100, 1)->empty());
  CHECK(spool->read(Stream::facts, 1000, 100, 1)->empty());
  const std::string large(300'000, 'x');
  REQUIRE(spool->append(Stream::facts, kNow, large, kNow));
  CHECK(spool->read(Stream::facts, 20, 100, 1)->at(0).payload == large);
  REQUIRE(spool->write());
  REQUIRE(spool->append(Stream::facts, kNow, "", kNow));
  CHECK(spool->read(Stream::facts, 20, 100, 1U << 20U)->size() == 2);
}

TEST_CASE("numbers go on over restarts, also when nothing is left on disk") {
  const TempTree tree;
  for (int round = 0; round < 5; ++round) {
    auto spool = open_spool(tree.path());
    const auto first = static_cast<RecordNumber>(round * 30 + 1);
    for (int i = 0; i < 30; ++i)
      put(*spool, Stream::events);
    CHECK(numbers(*spool, Stream::events) == range(first, first + 29));
    spool->confirm(Stream::events, first + 29);
    CHECK(read_all(*spool, Stream::events).empty());
    if (round % 2 == 0) sync(*spool);
    for (const auto& file : segment_files(tree.path()))
      if (round == 4) std::filesystem::remove(file);
  }
  auto spool = open_spool(tree.path());
  CHECK(put(*spool, Stream::events) == 151);
  CHECK(status_of(*spool, Stream::events).records == 1);
  CHECK(status_of(*spool, Stream::events).first == 151);
}

TEST_CASE("what is confirmed before it is written never touches the disk, and its numbers are kept") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  for (int i = 0; i < 10; ++i)
    put(*spool, Stream::metrics);
  spool->confirm(Stream::metrics, 10);
  sync(*spool);
  CHECK(segment_files(tree.path()).empty());
  spool = nullptr;
  spool = open_spool(tree.path());
  CHECK(put(*spool, Stream::metrics) == 11);
  sync(*spool);
  const auto size = [&tree] { return std::filesystem::file_size(segment_files(tree.path()).at(0)); };
  const auto before = size();
  // Some of what is to be written, all of it, and some again.
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 10; ++i)
      put(*spool, Stream::metrics, 100);
    spool->confirm(Stream::metrics, static_cast<RecordNumber>(round == 1 ? 31 : 19 + round * 10));
    sync(*spool);
    CHECK(numbers(*spool, Stream::metrics) ==
          (round == 1 ? range(1, 0)
                      : range(static_cast<RecordNumber>(20 + round * 10), 21 + 10U * static_cast<unsigned>(round))));
  }
  CHECK(size() < before + 6 * 124 + 3 * 24);
  // Without the state, the floors in the segment say that what is missing had left.
  const auto open_again = [&](bool with_state) {
    spool = nullptr;
    if (!with_state) std::filesystem::remove(tree.path() + "/state");
    spool = open_spool(tree.path());
    CHECK(numbers(*spool, Stream::metrics).back() == 41);
    CHECK(dropped(*spool, Stream::metrics, DropCause::corrupt) == 0);
    CHECK(put(*spool, Stream::metrics) == (with_state ? 42 : 43));
  };
  open_again(true);
  spool->confirm(Stream::metrics, 40);
  spool->write().value();
  spool->read(Stream::metrics, 0, 1, 1).value();
  spool = nullptr;
  std::filesystem::remove(tree.path() + "/state");
  spool = open_spool(tree.path());
  CHECK(numbers(*spool, Stream::metrics).back() == 42);
  CHECK(dropped(*spool, Stream::metrics, DropCause::corrupt) == 0);
}

TEST_CASE("segments whose records are confirmed are removed by a sync, and the figures are right") {
  const TempTree tree;
  SpoolLimits limits;
  limits.segment_bytes = 10'000;
  auto spool = open_spool(tree.path(), limits);
  for (int i = 0; i < 100; ++i)
    put(*spool, Stream::facts, 976, kNow + std::chrono::seconds{i});
  sync(*spool);
  CHECK(segment_files(tree.path()).size() == 12);  // nine of 1000 bytes each
  StreamStatus status = status_of(*spool, Stream::facts);
  CHECK(status.first == 1);
  CHECK(status.next == 101);
  CHECK(status.records == 100);
  CHECK(status.bytes == 100'000 + 11 * 64);
  CHECK(status.oldest == kNow);
  CHECK(spool->status().disk_bytes == 100'000 + 12 * 64);
  spool->confirm(Stream::facts, 50);
  CHECK(segment_files(tree.path()).size() == 12);
  sync(*spool);
  CHECK(segment_files(tree.path()).size() == 7);
  status = status_of(*spool, Stream::facts);
  CHECK(status.first == 51);
  CHECK(status.records == 50);
  CHECK(status.confirmed == 50);
  CHECK(status.oldest == kNow + 50s);
  CHECK(status.bytes == 50'000 + 6 * 64 - (0));
  spool->confirm(Stream::facts, 1000);
  CHECK(status_of(*spool, Stream::facts).records == 0);
  CHECK(status_of(*spool, Stream::facts).first == 0);
  CHECK(status_of(*spool, Stream::facts).bytes == 0);
  sync(*spool);
  CHECK(spool->status().segments == 1);
}

TEST_CASE("confirmations are kept over a restart") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  for (int i = 0; i < 100; ++i)
    put(*spool, Stream::conditions);
  sync(*spool);
  spool->confirm(Stream::conditions, 60);
  REQUIRE(spool->write());
  spool = nullptr;
  spool = open_spool(tree.path());
  CHECK(numbers(*spool, Stream::conditions) == range(61, 100));
}

TEST_CASE("what is confirmed while a sync runs is kept when the process is killed, before the sync ends and after it") {
  const QuickFolder tree;
  const std::string folder = tree.path() + "/now", killed = tree.path() + "/killed";
  std::filesystem::create_directory(folder);
  auto spool = open_spool(folder);
  const auto left = [&folder, &killed] {  // what the next process finds
    std::filesystem::remove_all(killed);
    std::filesystem::copy(folder, killed);
    return numbers(*open_spool(killed), Stream::conditions);
  };
  for (int round = 0; round < 4; ++round) {
    const RecordNumber last = put(*spool, Stream::conditions) + 9;
    for (int i = 1; i < 10; ++i)
      put(*spool, Stream::conditions);
    REQUIRE(spool->write());
    const std::function<Result<>()> job = spool->sync();
    spool->confirm(Stream::conditions, last - 6);
    REQUIRE(spool->write());
    CHECK(left() == range(last - 5, last));
    spool->confirm(Stream::conditions, last - 3);
    REQUIRE(spool->write());
    CHECK(left() == range(last - 2, last));
    REQUIRE(job());
    CHECK(left() == range(last - 2, last));
    spool->confirm(Stream::conditions, last);
    REQUIRE(spool->write());
    CHECK(left().empty());
  }
}

namespace {

DeliveredRanges ranges_of(std::initializer_list<NumberRange> ranges) {
  DeliveredRanges out{};
  std::ranges::copy(ranges, out.begin());
  return out;
}

}  // namespace

TEST_CASE("what the broker has beside a waiting history is known after a kill, as far as its records were written") {
  const QuickFolder tree;
  const std::string folder = tree.path() + "/now", killed = tree.path() + "/killed";
  std::filesystem::create_directory(folder);
  auto spool = open_spool(folder);
  const auto kill = [&folder, &killed] {
    std::filesystem::remove_all(killed);
    std::filesystem::copy(folder, killed);
    return open_spool(killed);
  };
  for (int i = 0; i < 20; ++i)
    put(*spool, Stream::metrics);
  REQUIRE(spool->write());
  put(*spool, Stream::metrics);  // 21 may be another record's number after a kill
  spool->keep_delivered(Stream::metrics, ranges_of({{5, 9}, {15, 21}}));
  // The state goes out in front of the records.
  REQUIRE(spool->write());
  CHECK(kill()->delivered(Stream::metrics) == ranges_of({{5, 9}, {15, 20}}));
  spool->confirm(Stream::metrics, 6);
  REQUIRE(spool->write());
  auto again = kill();
  CHECK(again->delivered(Stream::metrics) == ranges_of({{7, 9}, {15, 21}}));
  CHECK(again->delivered(Stream::events) == DeliveredRanges{});
  CHECK(numbers(*again, Stream::metrics) == range(7, 21));  // they stay until all before them has left
  again = nullptr;

  // What an older version wrote has no such part, and a torn one counts for nothing: the rest holds.
  for (const char fill : {'\0', '\x55'}) {
    again = kill();
    again = nullptr;
    std::string state = read_text(killed + "/state");
    for (std::size_t slot = 0; slot < state.size(); slot += 4096)
      state.replace(slot + 512, 4096 - 512, 4096 - 512, fill);
    std::ofstream(killed + "/state", std::ios::binary | std::ios::trunc) << state;
    again = open_spool(killed);
    CHECK(again->delivered(Stream::metrics) == DeliveredRanges{});
    CHECK(numbers(*again, Stream::metrics) == range(7, 21));
    CHECK(again->status().streams[static_cast<std::size_t>(Stream::metrics)].dropped ==
          std::array<std::uint64_t, kDropCauses>{});
    again = nullptr;
  }
}

TEST_CASE("a refused record is not read again, and counted once, also over a restart") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  for (int i = 0; i < 10; ++i)
    put(*spool, Stream::events);
  spool->refuse(Stream::events, 4);
  spool->refuse(Stream::events, 4);
  spool->refuse(Stream::events, 11);
  CHECK(dropped(*spool, Stream::events, DropCause::refused) == 1);
  CHECK(status_of(*spool, Stream::events).records == 9);
  CHECK(numbers(*spool, Stream::events) == std::vector<RecordNumber>{1, 2, 3, 5, 6, 7, 8, 9, 10});
  spool = nullptr;
  spool = open_spool(tree.path());  // 4 was not known to have left: it comes again, and is refused again
  CHECK(numbers(*spool, Stream::events) == range(1, 10));
  CHECK(dropped(*spool, Stream::events, DropCause::refused) == 0);
  spool->refuse(Stream::events, 4);
  spool->refuse(Stream::events, 1);
  spool->confirm(Stream::events, 3);
  CHECK(status_of(*spool, Stream::events).first == 5);
  CHECK(status_of(*spool, Stream::events).confirmed == 2);
  CHECK(dropped(*spool, Stream::events, DropCause::refused) == 2);
  spool = nullptr;
  spool = open_spool(tree.path());
  CHECK(numbers(*spool, Stream::events) == range(5, 10));
  CHECK(dropped(*spool, Stream::events, DropCause::refused) == 2);
}

TEST_CASE("a second process is told who has the spool") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  const auto second = Spool::open(tree.path(), {}, kNow);
  REQUIRE(second.has_error());
  CHECK(second.error().code == Code::already_exists);
  CHECK(second.error().message ==
        "the spool in " + tree.path() + " is in use by process " + std::to_string(::getpid()));
  put(*spool, Stream::events);
  REQUIRE(spool->write());
  CHECK(Spool::inspect(tree.path())->streams[0].records == 1);
  spool = nullptr;
  CHECK(Spool::inspect(tree.path())->streams[0].next == 2);
  CHECK(Spool::inspect(tree.path() + "/none").has_error());
  CHECK(put(*open_spool(tree.path()), Stream::events) == 2);
}

TEST_CASE("a folder that cannot be one is a clear error") {
  TempTree tree;
  tree.file("file", "");
  const auto spool = Spool::open(tree.path() + "/file/spool", {}, kNow);
  REQUIRE(spool.has_error());
  CHECK(spool.error().message.starts_with("the spool: cannot make " + tree.path() + "/file"));
}

TEST_CASE("files of others in the folder are left alone") {
  TempTree tree;
  tree.file("notes.txt", "mine").file("facts-1.seg", "x").file("owner", "").folder("facts");
  tree.file("facts-0000000000000029-9f3c1d2e.seg.new", "a copy that was not finished");
  auto spool = open_spool(tree.path());
  put(*spool, Stream::facts);
  sync(*spool);
  CHECK(std::filesystem::exists(tree.path() + "/notes.txt"));
  CHECK(std::filesystem::exists(tree.path() + "/facts-1.seg"));
  CHECK_FALSE(std::filesystem::exists(tree.path() + "/facts-0000000000000029-9f3c1d2e.seg.new"));
}

TEST_CASE("a sync is one at a time, and costs nothing when there is nothing to do") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  put(*spool, Stream::facts);
  REQUIRE(spool->write());
  auto first = spool->sync();
  const auto second = spool->sync()();
  REQUIRE(second.has_error());
  CHECK(second.error().code == Code::failed_precondition);
  put(*spool, Stream::facts);  // the spool is used meanwhile
  spool->confirm(Stream::facts, 2);
  REQUIRE(spool->write());
  REQUIRE(first());
  sync(*spool);
  const auto written = std::filesystem::last_write_time(tree.path() + "/state");
  sync(*spool);
  CHECK(std::filesystem::last_write_time(tree.path() + "/state") == written);
}
