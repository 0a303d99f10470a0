// Run-queue latency against the kernel's own account of the same tasks. Needs root.
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>

#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::TestCgroup;

namespace {

// /proc/PID/schedstat: nanoseconds on a CPU, nanoseconds in a queue, times it came to a CPU.
struct Account {
  unsigned long long ran = 0, waited = 0, times = 0;
  long taken_off = 0;  // getrusage(2): involuntary switches
};

Account own_account() {
  Account out;
  std::FILE* file = std::fopen("/proc/thread-self/schedstat", "re");
  if (file == nullptr) return out;
  if (std::fscanf(file, "%llu %llu %llu", &out.ran, &out.waited, &out.times) != 3) out = {};
  std::fclose(file);
  rusage usage{};
  if (::getrusage(RUSAGE_THREAD, &usage) == 0) out.taken_off = usage.ru_nivcsw;
  return out;
}

bool pin_to_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(::sched_getcpu()), &one);
  return ::sched_setaffinity(0, sizeof one, &one) == 0;
}

// Memory that children share with the test.
template <class T>
T* shared() {
  void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : new (at) T();
}

}  // namespace

TEST_CASE("waits in a queue are those of the kernel's own account, by count and by time") {
  const TestCgroup cgroup("runq");
  struct Accounts {
    Account of[4];
  };
  auto* all = shared<Accounts>();
  REQUIRE(all != nullptr);
  Account* accounts = &all->of[0];
  REQUIRE(pin_to_one_cpu());
  Collected collected({"runq"});
  // Two that run against each other on one CPU, each of which sleeps now and then.
  const auto busy = [](Account* told) {
    told[0] = own_account();
    for (int i = 0; i < 60; ++i) {  // longer than a tick each, so that they are taken off
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(12);
      while (std::chrono::steady_clock::now() < end) {
      }
      ::usleep(100);
    }
    told[1] = own_account();
    return 0;
  };
  const pid_t first = cgroup.start([&] { return busy(&accounts[0]); });
  const pid_t second = cgroup.start([&] { return busy(&accounts[2]); });
  REQUIRE(TestCgroup::wait(first) == 0);
  REQUIRE(TestCgroup::wait(second) == 0);
  collected.read();
  double times = 0, seconds = 0, taken_off = 0;
  for (int i = 0; i < 4; i += 2) {
    times += static_cast<double>(accounts[i + 1].times - accounts[i].times);
    taken_off += static_cast<double>(accounts[i + 1].taken_off - accounts[i].taken_off);
    seconds += static_cast<double>(accounts[i + 1].waited - accounts[i].waited) * 1e-9;
  }
  const Collected::Labels ours{{"cgroup", cgroup.path()}};
  const double counted = collected.count("omnitide_scheduler_wait_seconds", ours);
  CHECK(times > 120);
  // A busy machine has more of them than are measured each; some are between the move to the cgroup and the account.
  CHECK(counted == Approx(times).epsilon(0.05).margin(30));
  CHECK(collected.sum("omnitide_scheduler_wait_seconds", ours) == Approx(seconds).epsilon(0.05).margin(0.02));
  const double preemptions = collected.value("omnitide_scheduler_preemptions_total", ours);
  CHECK(taken_off > 0);
  CHECK(preemptions == Approx(taken_off).epsilon(0.05).margin(30));
}

TEST_CASE("of very many waits some are measured, and each cgroup has its share, also of those that take turns") {
  const TestCgroup asks("asks"), answers("answers");
  struct Accounts {
    Account of[4];
  };
  auto* all = shared<Accounts>();
  REQUIRE(all != nullptr);
  Account* accounts = &all->of[0];
  REQUIRE(pin_to_one_cpu());
  int there[2], back[2];
  REQUIRE(::pipe(&there[0]) == 0);
  REQUIRE(::pipe(&back[0]) == 0);
  Collected collected({"runq"});
  constexpr int kTimes = 20'000;
  const auto side = [](Account* told, int from, int to, bool first) {
    char c = 0;
    told[0] = own_account();
    for (int i = 0; i < kTimes; ++i) {
      if (first && ::write(to, &c, 1) != 1) return 1;
      if (::read(from, &c, 1) != 1) return 2;
      if (!first && ::write(to, &c, 1) != 1) return 3;
    }
    told[1] = own_account();
    return 0;
  };
  const pid_t one = asks.start([&] { return side(&accounts[0], back[0], there[1], true); });
  const pid_t other = answers.start([&] { return side(&accounts[2], there[0], back[1], false); });
  REQUIRE(TestCgroup::wait(one) == 0);
  REQUIRE(TestCgroup::wait(other) == 0);
  for (const int fd : {there[0], there[1], back[0], back[1]})
    ::close(fd);
  collected.read();
  const TestCgroup* cgroups[] = {&asks, &answers};
  for (int i = 0; i < 2; ++i) {
    const double times = static_cast<double>(accounts[2 * i + 1].times - accounts[2 * i].times);
    CHECK(times > kTimes / 2);
    CHECK(collected.count("omnitide_scheduler_wait_seconds", {{"cgroup", cgroups[i]->path()}}) ==
          Approx(times).epsilon(0.15));
  }
}
