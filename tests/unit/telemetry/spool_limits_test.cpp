// Size, age, rate and the size of a record: what goes, and that it is counted.
#include <fstream>

#include "agent/telemetry/spool.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

SpoolLimits small(Eviction eviction = Eviction::priority) {
  SpoolLimits out;
  out.bytes = 200'000;
  out.segment_bytes = 10'000;
  out.eviction = eviction;
  return out;
}

}  // namespace

TEST_CASE("over the size the oldest segments of a stream go whole, and are counted") {
  const QuickFolder tree;
  auto spool = open_spool(tree.path(), small());
  for (int i = 0; i < 1000; ++i) {
    put(*spool, Stream::metrics, 976);
    if (i % 7 == 0) sync(*spool);
    REQUIRE(spool->status().disk_bytes <= 200'000);
  }
  const StreamStatus status = status_of(*spool, Stream::metrics);
  CHECK(status.records >= 180);
  CHECK(status.records + dropped(*spool, Stream::metrics, DropCause::size) == 1000);
  CHECK(numbers(*spool, Stream::metrics) == range(1001 - status.records, 1000));
  spool = nullptr;
  spool = open_spool(tree.path(), small());
  CHECK(dropped(*spool, Stream::metrics, DropCause::size) == 1000 - status.records);
  CHECK(status_of(*spool, Stream::metrics).records == status.records);
}

TEST_CASE("by priority flows go before metrics, and events last; what matters less does not push out more") {
  const QuickFolder tree;
  auto spool = open_spool(tree.path(), small());
  for (int i = 0; i < 60; ++i) {
    put(*spool, Stream::events, 976);
    put(*spool, Stream::metrics, 976);
    put(*spool, Stream::flows, 976);
  }
  REQUIRE(spool->write());
  for (int i = 0; i < 55; ++i)
    put(*spool, Stream::metrics, 976);
  CHECK(status_of(*spool, Stream::flows).records < 25);
  CHECK(status_of(*spool, Stream::metrics).records == 115);
  CHECK(status_of(*spool, Stream::events).records == 60);
  for (int i = 0; i < 120; ++i)
    put(*spool, Stream::events, 976);
  CHECK(status_of(*spool, Stream::flows).records == 0);
  CHECK(status_of(*spool, Stream::metrics).records < 20);
  CHECK(status_of(*spool, Stream::events).records == 180);
  for (int i = 0; i < 20; ++i)
    (void)spool->append(Stream::events, kNow, payload_of(181 + static_cast<RecordNumber>(i), 976), kNow);
  const auto refused = spool->append(Stream::flows, kNow, std::string(15'000, 'x'), kNow);
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Code::resource_exhausted);
  CHECK(dropped(*spool, Stream::flows, DropCause::size) == 61);
  CHECK(dropped(*spool, Stream::conditions, DropCause::size) == 0);
  CHECK(numbers(*spool, Stream::events).back() == 200);
}

TEST_CASE("oldest first, whichever stream has the oldest segment") {
  const QuickFolder tree;
  auto spool = open_spool(tree.path(), small(Eviction::oldest_first));
  for (int i = 0; i < 100; ++i)
    put(*spool, Stream::events, 976, kNow + std::chrono::seconds{i});
  for (int i = 100; i < 220; ++i)
    put(*spool, Stream::flows, 976, kNow + std::chrono::seconds{i});
  CHECK(status_of(*spool, Stream::flows).records == 120);
  const std::uint64_t left = status_of(*spool, Stream::events).records;
  CHECK(left > 60);
  CHECK(left < 80);
  CHECK(dropped(*spool, Stream::events, DropCause::size) == 100 - left);
}

TEST_CASE("a smaller limit than what is on disk evicts when the spool is opened") {
  const QuickFolder tree;
  {
    auto spool = open_spool(tree.path(), small());
    for (int i = 0; i < 150; ++i)
      put(*spool, Stream::sparkplug, 976);
  }
  SpoolLimits limits = small();
  limits.bytes = 50'000;
  auto spool = open_spool(tree.path(), limits);
  std::uintmax_t bytes = 0;
  for (const auto& file : segment_files(tree.path()))
    bytes += std::filesystem::file_size(file);
  CHECK(bytes <= 50'000);
  const std::uint64_t left = status_of(*spool, Stream::sparkplug).records;
  CHECK(left > 30);
  CHECK(dropped(*spool, Stream::sparkplug, DropCause::size) == 150 - left);
  CHECK(numbers(*spool, Stream::sparkplug) == range(151 - left, 150));
}

TEST_CASE("a limit below one record evicts all, and the numbers go on") {
  const QuickFolder tree;
  SpoolLimits limits = small();
  limits.bytes = 3000;
  auto spool = open_spool(tree.path(), limits);
  for (RecordNumber i = 1; i <= 20; ++i) {
    CHECK(put(*spool, Stream::events, 2000) == i);
    if (i % 3 == 0) sync(*spool);
    CHECK(status_of(*spool, Stream::events).records == 1);
  }
  CHECK(spool->append(Stream::events, kNow, std::string(5000, 'x'), kNow).has_error());
  CHECK(status_of(*spool, Stream::events).records == 1);  // the one that is there did not go for it
  spool = nullptr;
  limits.bytes = 100;
  spool = open_spool(tree.path(), limits);
  CHECK(status_of(*spool, Stream::events).records == 0);
  CHECK(segment_files(tree.path()).empty());
  spool = nullptr;
  spool = open_spool(tree.path(), small());
  CHECK(put(*spool, Stream::events) == 21);
  CHECK(dropped(*spool, Stream::events, DropCause::size) == 21);
}

TEST_CASE("records leave by age, each by its own") {
  const QuickFolder tree;
  SpoolLimits limits = small();
  limits.age = 1h;
  auto spool = open_spool(tree.path(), limits);
  for (int i = 0; i < 100; ++i)
    put(*spool, Stream::events, 976, kNow + std::chrono::minutes{i});
  spool->expire(kNow + 59min);
  CHECK(status_of(*spool, Stream::events).records == 100);
  spool->expire(kNow + 93min + 30s);
  CHECK(numbers(*spool, Stream::events) == range(35, 100));
  CHECK(dropped(*spool, Stream::events, DropCause::age) == 34);
  sync(*spool);
  CHECK(segment_files(tree.path()).size() == 9);
  spool = nullptr;
  spool = open_spool(tree.path(), limits, kNow + 120min);
  CHECK(numbers(*spool, Stream::events) == range(61, 100));
  spool->expire(kNow + 24h);
  CHECK(status_of(*spool, Stream::events).records == 0);
  CHECK(dropped(*spool, Stream::events, DropCause::age) == 100);
  spool->expire(kNow - 24h);
}

TEST_CASE("a larger record than allowed, and more in a second than allowed, are refused and counted") {
  const QuickFolder tree;
  SpoolLimits limits = small();
  limits.record_bytes = 1000;
  limits.records_per_second = 10;
  auto spool = open_spool(tree.path(), limits);
  const auto large = spool->append(Stream::facts, kNow, std::string(1001, 'x'), kNow);
  REQUIRE(large.has_error());
  CHECK(large.error().message == "a record of 1001 bytes is larger than the 1000 allowed");
  CHECK(dropped(*spool, Stream::facts, DropCause::too_large) == 1);
  const auto accepted = [&spool](WallTime now) {
    int out = 0;
    for (int i = 0; i < 30; ++i)
      out += spool->append(Stream::facts, now, "x", now).has_value() ? 1 : 0;
    return out;
  };
  CHECK(accepted(kNow) == 10);
  CHECK(accepted(kNow + 500ms) == 5);
  CHECK(accepted(kNow - 1h) == 0);
  CHECK(accepted(kNow - 1h + 1s) == 10);
  CHECK(accepted(kNow + 10h) == 10);
  CHECK(dropped(*spool, Stream::facts, DropCause::rate) == 150 - 35);
  spool = nullptr;
  spool = open_spool(tree.path(), limits);
  CHECK(dropped(*spool, Stream::facts, DropCause::rate) == 150 - 35);
  CHECK(dropped(*spool, Stream::facts, DropCause::too_large) == 1);
}

TEST_CASE("a backlog of a gigabyte opens quickly, and its memory stays below a megabyte") {
  const TempTree tree;
  SpoolLimits limits;
  limits.bytes = std::uint64_t{2} << 30U;
  const std::string payload(4000, 'x');
  {
    auto spool = open_spool(tree.path(), limits);
    for (int i = 0; i < 270'000; ++i) {
      REQUIRE(spool->append(i % 3 == 0 ? Stream::metrics : Stream::flows, kNow, payload, kNow));
      if (i % 50 == 0) REQUIRE(spool->write());
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  auto spool = open_spool(tree.path(), limits);
  const SpoolStatus status = spool->status();
  const auto took = std::chrono::steady_clock::now() - begin;
  CHECK(took < 1s);
  CHECK(status.disk_bytes > std::uint64_t{1} << 30U);
  CHECK(status.memory_bytes < std::size_t{1} << 20U);
  RecordNumber last = 0;
  for (int i = 0; i < 100; ++i) {
    const auto some = spool->read(Stream::flows, last, 100, 1U << 20U);
    REQUIRE(some->size() == 100);
    REQUIRE(some->front().number == last + 1);
    last = some->back().number;
    if (i % 3 == 0) spool->confirm(Stream::flows, last);
  }
  CHECK(spool->status().memory_bytes < std::size_t{1} << 20U);
}
