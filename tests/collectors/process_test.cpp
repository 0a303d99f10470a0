// Processes, counted exactly and to their cgroup. Needs root.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::TestCgroup;

namespace {

// Children of a process in the cgroup, one after another.
template <class Body>
int children(int count, Body body) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    (void)TestCgroup::wait(child);
  }
  return 0;
}

}  // namespace

TEST_CASE("starts, programs and ends of processes count for their cgroup, threads do not") {
  const TestCgroup cgroup("process");
  Collected collected({"process"});
  REQUIRE(cgroup.run([] {
    (void)children(7, [] { return 3; });
    (void)children(5, [] {
      ::execl("/bin/true", "true", nullptr);
      return 1;
    });
    (void)children(4, [] { return ::raise(SIGKILL); });
    return children(3, [] { return ::raise(SIGSEGV); });
  }) == 0);
  collected.read();
  const Collected::Labels ours{{"cgroup", cgroup.path()}};
  // The first process was begun in the test's own cgroup and came here.
  CHECK(collected.value("omnitide_process_starts_total", ours) == 19);
  CHECK(collected.value("omnitide_process_execs_total", ours) == 5);
  const auto ended = [&](const char* signal) {
    return collected.value("omnitide_process_exits_total", {{"cgroup", cgroup.path()}, {"signal", signal}});
  };
  CHECK(ended("none") == 13);
  CHECK(ended("SIGKILL") == 4);
  CHECK(ended("SIGSEGV") == 3);
  CHECK(collected.value("omnitide_oom_kills_total", ours) == 0);
}

TEST_CASE("the end of a process with threads counts once, with the signal that ended it") {
  const TestCgroup cgroup("threads");
  Collected collected({"process"});
  REQUIRE(cgroup.run([] {
    std::thread([] { ::usleep(1000); }).join();
    std::thread([] { ::usleep(10'000'000); }).detach();
    ::usleep(10'000);
    (void)::kill(::getpid(), SIGTERM);
    ::pause();
    return 0;
  }) == -SIGTERM);
  collected.read();
  CHECK(collected.value("omnitide_process_exits_total", {{"cgroup", cgroup.path()}}) == 1);
  CHECK(collected.value("omnitide_process_exits_total", {{"cgroup", cgroup.path()}, {"signal", "SIGTERM"}}) == 1);
  CHECK(collected.value("omnitide_process_starts_total", {{"cgroup", cgroup.path()}}) == 0);
}

TEST_CASE("a process that the out-of-memory killer ended counts as such") {
  // In version 1 the limit is in a hierarchy of its own.
  const test::Controller memory = test::find_controller("memory");
  const TestCgroup cgroup("oom");
  const auto separate = memory.v1 ? std::make_unique<TestCgroup>("oom", memory.root) : nullptr;
  const TestCgroup& limited = separate ? *separate : cgroup;
  REQUIRE(test::write_word(limited.folder() + (memory.v1 ? "/memory.limit_in_bytes" : "/memory.max"), "33554432"));
  Collected collected({"process"});
  const auto greedy = [&limited] {
    if (!limited.enter()) return 125;
    constexpr std::size_t kBytes = std::size_t{128} << 20U;
    void* memory_of = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_of == MAP_FAILED) return 124;
    std::memset(memory_of, 1, kBytes);
    return 0;
  };
  REQUIRE(cgroup.run(greedy) == -SIGKILL);
  REQUIRE(cgroup.run([] { return ::raise(SIGKILL); }) == -SIGKILL);
  collected.read();
  CHECK(collected.value("omnitide_oom_kills_total", {{"cgroup", cgroup.path()}}) == 1);
  CHECK(collected.value("omnitide_process_exits_total", {{"cgroup", cgroup.path()}, {"signal", "SIGKILL"}}) == 2);
}

TEST_CASE("page faults that wait for a disk count, others do not") {
  const TestCgroup cgroup("faults");
  std::string file = "/var/tmp/omnitide-faults-XXXXXX";  // on a disk, unlike /tmp may be
  const int fd = ::mkstemp(file.data());
  REQUIRE(fd >= 0);
  ::unlink(file.c_str());
  const std::string page(4096, 'x');
  for (int i = 0; i < 256; ++i)
    REQUIRE(::write(fd, page.data(), page.size()) == 4096);
  REQUIRE(::fsync(fd) == 0);
  REQUIRE(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  Collected collected({"process"});
  constexpr int kTouched = 8;
  REQUIRE(cgroup.run([fd] {
    auto* bytes = static_cast<volatile char*>(::mmap(nullptr, 256 * 4096, PROT_READ, MAP_SHARED, fd, 0));
    (void)::madvise(const_cast<char*>(bytes), 256 * 4096, MADV_RANDOM);  // no reading ahead
    int sum = 0;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < kTouched; ++i)
        sum += bytes[i * 32 * 4096];
    }
    return sum == 2 * kTouched * 'x' ? 0 : 1;
  }) == 0);
  ::close(fd);
  collected.read();
  CHECK(collected.value("omnitide_process_major_faults_total", {{"cgroup", cgroup.path()}}) == kTouched);
}
