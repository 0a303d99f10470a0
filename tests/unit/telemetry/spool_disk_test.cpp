// A disk that is full, read-only, or loses what it was given.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include "agent/telemetry/spool.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/spool_folder.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;

namespace {

// How many of the next calls of fdatasync() fail, in this program.
std::atomic<int> syncs_to_fail = 0;

// In a thread with a mount namespace of its own, on a tmpfs of so many KiB. Needs root.
void on_small_disk(unsigned kib, const std::function<void(const std::string&)>& work) {
  const TempTree tree;
  std::string problem;
  std::thread thread([&] {
    try {
      const std::string size = "size=" + std::to_string(kib) + "k";
      if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          ::mount("tmpfs", tree.path().c_str(), "tmpfs", 0, size.c_str()) != 0)
        throw std::runtime_error(std::string("cannot mount a tmpfs (root is needed): ") + std::strerror(errno));
      work(tree.path());
      (void)::umount2(tree.path().c_str(), MNT_DETACH);
    } catch (const std::exception& error) {
      problem = error.what();
    } catch (...) {
      problem = "a requirement was not met";  // which one, the test's report says
    }
  });
  thread.join();
  INFO(problem);
  REQUIRE(problem.empty());
}

void must(bool promise, const char* what) {
  if (!promise) throw std::runtime_error(what);
}
#define MUST(promise) must(promise, #promise)

void fill(const std::string& folder) {
  std::ofstream file(folder + "/filler", std::ios::binary);
  const std::string block(4096, 'x');
  while (file.write(block.data(), 4096) && file.flush()) {
  }
}

}  // namespace

// In place of libc's, which it calls.
extern "C" int fdatasync(int fd) {
  if (syncs_to_fail > 0) {
    --syncs_to_fail;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

TEST_CASE("on a full disk records wait in memory up to a bound, then are counted; with room again all goes to disk") {
  on_small_disk(600, [](const std::string& mount) {
    const std::string folder = mount + "/spool";
    SpoolLimits limits;
    limits.memory_bytes = 100'000;
    auto spool = std::move(*Spool::open(folder, limits, kNow));
    for (int i = 0; i < 100; ++i)
      MUST(spool->append(Stream::metrics, kNow, payload_of(static_cast<RecordNumber>(i + 1), 1000), kNow).has_value());
    MUST(spool->write().has_value() && spool->sync()().has_value());
    fill(mount);
    RecordNumber last = 100;
    std::uint64_t refused = 0;
    Error error;
    for (int i = 0; i < 300; ++i) {
      const auto number = spool->append(Stream::metrics, kNow, payload_of(last + 1, 1000), kNow);
      if (number.has_value()) last = *number;
      if (number.has_error()) ++refused, error = number.error();
      if (i % 10 == 9) (void)spool->write();
    }
    MUST(refused > 200);
    MUST(last >= 173);  // three quarters of the memory, and what was left of the disk's last page
    MUST(error.code == Code::unavailable);
    MUST(error.message.find("o space left") != std::string::npos);
    MUST(spool->status().read_only);
    MUST(spool->status().problem.find("o space left") != std::string::npos);
    MUST(spool->status().memory_bytes < 600'000);
    MUST(dropped(*spool, Stream::metrics, DropCause::disk) == refused);
    // What matters more has memory left. Both are read, and confirmations are kept on the full disk.
    MUST(spool->append(Stream::events, kNow, payload_of(1, 1000), kNow).has_value());
    MUST(numbers(*spool, Stream::metrics) == range(1, last));
    spool->confirm(Stream::metrics, 50);
    (void)spool->write();
    MUST(Spool::inspect(folder)->streams[4].first == 51);
    MUST(Spool::inspect(folder)->streams[4].dropped[static_cast<std::size_t>(DropCause::disk)] == refused);

    std::filesystem::remove(mount + "/filler");
    MUST(spool->write().has_value());
    MUST(!spool->status().read_only);
    MUST(spool->status().problem.empty());
    MUST(spool->append(Stream::metrics, kNow, payload_of(last + 1), kNow).has_value());
    spool = nullptr;
    spool = std::move(*Spool::open(folder, limits, kNow));
    MUST(numbers(*spool, Stream::metrics) == range(51, last + 1));
    MUST(numbers(*spool, Stream::events) == range(1, 1));
    MUST(dropped(*spool, Stream::metrics, DropCause::disk) == refused);
  });
}

TEST_CASE("a spool that is opened on a full disk works from memory, and goes to disk later") {
  on_small_disk(200, [](const std::string& mount) {
    std::filesystem::create_directory(mount + "/spool");
    fill(mount);
    auto spool = std::move(*Spool::open(mount + "/spool", {}, kNow));
    MUST(spool->append(Stream::events, kNow, payload_of(1), kNow).has_value());
    MUST(spool->write().has_error());
    MUST(spool->sync()().has_error());
    MUST(numbers(*spool, Stream::events) == range(1, 1));
    std::filesystem::remove(mount + "/filler");
    MUST(spool->write().has_value() && spool->sync()().has_value());
    spool = nullptr;
    spool = std::move(*Spool::open(mount + "/spool", {}, kNow));
    MUST(numbers(*spool, Stream::events) == range(1, 1));
  });
}

TEST_CASE("on a read-only disk the backlog is read, and new records wait in memory") {
  on_small_disk(2000, [](const std::string& mount) {
    const std::string folder = mount + "/spool";
    auto spool = std::move(*Spool::open(folder, {}, kNow));
    for (RecordNumber i = 1; i <= 10; ++i)
      MUST(spool->append(Stream::facts, kNow, payload_of(i), kNow).has_value());
    spool = nullptr;
    const auto remount = [&mount](unsigned long flags) {
      return ::mount("tmpfs", mount.c_str(), nullptr, MS_REMOUNT | flags, nullptr) == 0;
    };
    MUST(remount(MS_RDONLY));
    spool = std::move(*Spool::open(folder, {}, kNow));
    MUST(numbers(*spool, Stream::facts) == range(1, 10));
    MUST(spool->append(Stream::facts, kNow, payload_of(11), kNow).has_value());
    MUST(spool->write().has_error());
    MUST(spool->status().read_only);
    MUST(spool->status().problem.find("ead-only") != std::string::npos);
    spool->confirm(Stream::facts, 5);
    MUST(spool->sync()().has_error());
    MUST(numbers(*spool, Stream::facts) == range(6, 11));
    MUST(remount(0));
    MUST(spool->write().has_value() && spool->sync()().has_value());
    spool = nullptr;
    spool = std::move(*Spool::open(folder, {}, kNow));
    MUST(numbers(*spool, Stream::facts) == range(6, 11));
  });
}

TEST_CASE("what a failed sync may have lost is written again, to a new file") {
  const TempTree tree;
  SpoolLimits limits;
  limits.segment_bytes = 20'000;
  auto spool = open_spool(tree.path(), limits);
  for (int i = 0; i < 10; ++i)
    put(*spool, Stream::events, 100);
  sync(*spool);
  for (int i = 0; i < 350; ++i) {  // the rest of a segment, a whole one, and the begin of the third
    put(*spool, Stream::events, 100);
    if (i % 10 == 0) REQUIRE(spool->write());
  }
  spool->confirm(Stream::events, 3);
  REQUIRE(spool->write());
  const auto before = segment_files(tree.path());
  REQUIRE(before.size() == 3);
  syncs_to_fail = 3;
  const auto failed = spool->sync()();
  REQUIRE(failed.has_error());
  CHECK(failed.error().message.find("nput/output error") != std::string::npos);
  put(*spool, Stream::events, 100);
  CHECK(spool->status().problem.find("nput/output error") != std::string::npos);
  CHECK(numbers(*spool, Stream::events) == range(4, 361));
  sync(*spool);
  CHECK(spool->status().problem.empty());
  // The disk lost all that the failed sync was about: of the old files, what was synced before is left.
  const auto after = segment_files(tree.path());
  CHECK(after.size() == 4);
  CHECK(std::filesystem::file_size(before[0]) == 64 + 10 * 124);
  CHECK_FALSE(std::filesystem::exists(before[1]));
  CHECK_FALSE(std::filesystem::exists(before[2]));
  CHECK(numbers(*spool, Stream::events) == range(4, 361));
  put(*spool, Stream::events);
  spool = nullptr;
  spool = open_spool(tree.path(), limits);
  CHECK(numbers(*spool, Stream::events) == range(4, 362));
  CHECK(dropped(*spool, Stream::events, DropCause::corrupt) == 0);
}

TEST_CASE("a state that cannot be synced leaves the one before it whole, and no file is removed") {
  const TempTree tree;
  auto spool = open_spool(tree.path());
  put(*spool, Stream::events);
  sync(*spool);
  spool->confirm(Stream::events, 1);
  syncs_to_fail = 1;
  CHECK(spool->sync()().has_error());
  syncs_to_fail = 0;
  CHECK(spool->status().problem.find("the state") != std::string::npos);
  CHECK(segment_files(tree.path()).size() == 1);
  sync(*spool);
  CHECK(spool->status().problem.empty());
}
