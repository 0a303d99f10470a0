// kill -9 and power loss at any moment.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "agent/base/random.hpp"
#include "agent/telemetry/spool.hpp"
#include "tests/harness/child.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

// What the child did, in memory that it shares.
struct Ledger {
  std::atomic<RecordNumber> written{0};    // write() was good for all of these
  std::atomic<RecordNumber> confirmed{0};  // confirm() was called for these
};

SpoolLimits small_segments() {
  SpoolLimits out;
  out.segment_bytes = 20'000;
  return out;
}

// Appends, writes, syncs on a thread and confirms, until it is killed.
[[noreturn]] void run_child(const std::string& folder, Ledger& ledger, RecordNumber first) {
  Result<std::unique_ptr<Spool>> opened = Spool::open(folder, small_segments(), kNow);
  if (opened.has_error()) ::_exit(3);
  Spool& spool = **opened;
  std::function<Result<>()> work;
  std::atomic<bool> working = false;
  std::thread syncing([&work, &working] {
    while (true) {
      working.wait(false);
      (void)work();
      working = false;
    }
  });
  RecordNumber next = first;
  for (std::uint64_t turn = 0;; ++turn) {
    for (std::uint64_t i = random_u64() % 50; i > 0; --i) {
      const auto number = spool.append(Stream::events, kNow, payload_of(next, random_u64() % 400), kNow);
      if (number.has_error() || *number != next) ::_exit(4);
      ++next;
    }
    const std::uint64_t choice = random_u64() % 8;
    if (choice < 3) {                                     // some of what is written, or even what is not yet
      const bool many = next > ledger.confirmed + 2'000;  // wait: no bound of the spool may be reached
      const RecordNumber to = std::min(next - 1, ledger.confirmed + random_u64() % (many ? 1'000 : 80));
      ledger.confirmed = std::max<RecordNumber>(ledger.confirmed, to);
      spool.confirm(Stream::events, to);
    }
    if (spool.write().has_error()) ::_exit(5);
    ledger.written = next - 1;
    if (turn % 20 == 0 && !working) {
      work = spool.sync();
      working = true;
      working.notify_one();
    }
  }
}

Ledger& shared_ledger() {
  void* const place = ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  REQUIRE(place != MAP_FAILED);
  return *new (place) Ledger;
}

}  // namespace

TEST_CASE("after kill -9 at any moment each record that was written is there, and no number is used again") {
  const TempTree tree;
  Ledger& ledger = shared_ledger();
  RecordNumber total = 0;
  std::uint64_t repeated = 0;
  const char* const wished = std::getenv("OMNITIDE_SPOOL_KILLS");
  const int rounds = wished != nullptr ? std::atoi(wished) : 40;
  for (int round = 0; round < rounds; ++round) {
    const RecordNumber first = status_of(*open_spool(tree.path(), small_segments()), Stream::events).next;
    REQUIRE(first > ledger.written);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) run_child(tree.path(), ledger, first);
    std::this_thread::sleep_for(std::chrono::microseconds(random_u64() % 60'000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));

    auto spool = open_spool(tree.path(), small_segments());
    const RecordNumber written = ledger.written, confirmed = ledger.confirmed;
    const auto got = numbers(*spool, Stream::events);
    REQUIRE(dropped(*spool, Stream::events, DropCause::corrupt) == 0);
    REQUIRE(status_of(*spool, Stream::events).next > written);
    if (written > confirmed) {
      REQUIRE_FALSE(got.empty());
      REQUIRE(got == range(got.front(), got.back()));
      REQUIRE(got.front() <= confirmed + 1);
      REQUIRE(got.back() >= written);
      repeated += confirmed + 1 - got.front();
    }
    total = written;
  }
  ::munmap(&ledger, sizeof ledger);
  WARN(total << " records, " << rounds << " kills, " << repeated << " records were read again");
  CHECK(total > 1000);
}

TEST_CASE("a write that a kill cuts short costs nothing that was reported as written, and counts as no damage") {
  const QuickFolder tree;
  const std::string folder = tree.path() + "/now", cut = tree.path() + "/cut";
  std::filesystem::create_directory(folder);
  auto spool = open_spool(folder);
  for (int i = 0; i < 10; ++i)
    put(*spool, Stream::events, 100);
  sync(*spool);
  REQUIRE(segment_files(folder).size() == 1);
  const auto before = std::filesystem::file_size(segment_files(folder).front());
  for (int i = 0; i < 10; ++i)
    put(*spool, Stream::events, 100);
  spool->confirm(Stream::events, 5);  // the state is written, and in front of the records
  REQUIRE(spool->write());
  const auto after = std::filesystem::file_size(segment_files(folder).front());
  for (auto size = before; size < after; size += 31) {
    std::filesystem::remove_all(cut);
    std::filesystem::copy(folder, cut);
    std::filesystem::resize_file(segment_files(cut).front(), size);
    auto again = open_spool(cut);
    const auto got = numbers(*again, Stream::events);
    INFO(size);
    REQUIRE(got == range(6, 10 + (size - before) / 124));
    REQUIRE(dropped(*again, Stream::events, DropCause::corrupt) == 0);
    REQUIRE(put(*again, Stream::events) == got.back() + 1);
  }
  spool = nullptr;  // in order: now each of them is known to have been written
  std::filesystem::resize_file(segment_files(folder).front(), before);
  spool = open_spool(folder);
  CHECK(numbers(*spool, Stream::events) == range(6, 10));
  CHECK(dropped(*spool, Stream::events, DropCause::corrupt) == 10);
  CHECK(status_of(*spool, Stream::events).next == 21);
}

namespace {

// What a disk may have of the files after a power loss: of each what was there at the last sync, and of what came
// later any part, none, or nonsense.
void lose_power(const std::string& synced, const std::string& now, const std::string& after) {
  std::filesystem::remove_all(after);
  std::filesystem::copy(synced, after);
  for (const auto& entry : std::filesystem::directory_iterator(now)) {
    const std::string name = entry.path().filename().string(), old_path = synced + "/" + name;
    const std::string newest = read_text(entry.path().string());
    if (!std::filesystem::exists(old_path)) {
      if (random_u64() % 3 == 0) continue;  // the folder did not get it
    }
    std::string content = std::filesystem::exists(old_path) ? read_text(old_path) : std::string();
    if (name == "state") {
      for (std::size_t sector = 0; sector < newest.size() && content.size() == newest.size(); sector += 512)
        if (random_u64() % 2 == 0) content.replace(sector, 512, newest, sector, 512);
    } else if (newest.size() >= content.size()) {
      const std::size_t kept = content.size() + random_u64() % (newest.size() - content.size() + 1);
      const bool longer = random_u64() % 2 == 0;  // the length got there, and not all data
      const std::string rest = longer ? std::string(newest.size() - kept, '\0') : std::string();
      content = newest.substr(0, kept) + rest;
    }
    std::ofstream(after + "/" + name, std::ios::binary | std::ios::trunc) << content;
  }
  for (const auto& entry : std::filesystem::directory_iterator(synced)) {  // removed since, and the disk knows it
    if (!std::filesystem::exists(now + "/" + entry.path().filename().string()) && random_u64() % 2 == 0)
      std::filesystem::remove(after + "/" + entry.path().filename().string());
  }
}

}  // namespace

TEST_CASE("after a power loss each record that was synced is there, whatever became of the rest") {
  const QuickFolder tree;
  const std::string folder = tree.path() + "/now", synced = tree.path() + "/synced", after = tree.path() + "/after";
  std::filesystem::create_directory(folder);
  const char* const wished = std::getenv("OMNITIDE_SPOOL_POWER_LOSSES");
  const int rounds = wished != nullptr ? std::atoi(wished) : 60;
  std::uint64_t unsynced = 0;
  for (int round = 0; round < rounds; ++round) {
    auto spool = open_spool(folder, small_segments());
    RecordNumber next = status_of(*spool, Stream::events).next, confirmed = next - 1, durable = 0,
                 durably_confirmed = 0;
    const auto work = [&](int turns) {
      for (; turns > 0; --turns) {
        for (std::uint64_t i = random_u64() % 30; i > 0; --i)
          next = put(*spool, Stream::events, random_u64() % 300) + 1;
        if (random_u64() % 2 == 0 && next > 1) confirmed = std::min(next - 1, confirmed + random_u64() % 40);
        spool->confirm(Stream::events, confirmed);
        REQUIRE(spool->write());
      }
    };
    const auto keep_as_durable = [&] {
      durable = next - 1;
      durably_confirmed = confirmed;
      std::filesystem::remove_all(synced);
      std::filesystem::copy(folder, synced);
    };
    for (std::uint64_t syncs = 1 + random_u64() % 4; syncs > 0; --syncs) {
      work(static_cast<int>(random_u64() % 20));
      sync(*spool);
      sync(*spool);  // the files that were removed are gone from the first's
      keep_as_durable();
      if (random_u64() % 2 == 0) continue;
      work(static_cast<int>(random_u64() % 6));
      // One more, with work beside it: of the files it has what was there when it began.
      const std::function<Result<>()> job = spool->sync();
      keep_as_durable();
      work(static_cast<int>(random_u64() % 6));
      REQUIRE(job());
      std::filesystem::copy_file(folder + "/state", synced + "/state",
                                 std::filesystem::copy_options::overwrite_existing);
    }
    work(static_cast<int>(random_u64() % 20));
    if (random_u64() % 2 == 0) (void)spool->sync();  // one that never runs
    unsynced += next - 1 - durable;
    spool = nullptr;
    lose_power(synced, folder, after);

    spool = open_spool(after, small_segments());
    const auto got = numbers(*spool, Stream::events);
    if (durable > confirmed) {
      REQUIRE_FALSE(got.empty());
      REQUIRE(got.front() <= confirmed + 1);
      REQUIRE(got.front() > durably_confirmed);
      REQUIRE(got.back() >= durable);
      for (RecordNumber number = got.front(); number <= durable; ++number)
        REQUIRE(got.at(number - got.front()) == number);
    }
    REQUIRE(status_of(*spool, Stream::events).next > durable);
    REQUIRE(dropped(*spool, Stream::events, DropCause::size) == 0);
    REQUIRE(dropped(*spool, Stream::events, DropCause::corrupt) <= unsynced);
    put(*spool, Stream::events);
    sync(*spool);
    spool = nullptr;
    std::filesystem::remove_all(folder);
    std::filesystem::rename(after, folder);
  }
}
