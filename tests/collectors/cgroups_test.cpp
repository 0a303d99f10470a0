// Many cgroups: their values are bounded, and nothing that was counted is lost. Needs root.
#include <linux/capability.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ebpf/collectors/cgroup_tree.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/collected.hpp"
#include "tests/harness/test_cgroup.hpp"

using namespace omnitide;
using test::Collected;
using test::TestCgroup;

namespace {

const char* const kExits = "omnitide_process_exits_total";

long resident_kib() {
  std::ifstream file("/proc/self/statm");
  long total = 0, resident = 0;
  file >> total >> resident;
  return resident * (::sysconf(_SC_PAGESIZE) / 1024);
}

void wait_for_next_sweep() { std::this_thread::sleep_for(std::chrono::milliseconds(1100)); }

std::uint64_t id_of(const TestCgroup& cgroup) {
  struct stat folder {};
  REQUIRE(::stat(cgroup.folder().c_str(), &folder) == 0);
  return folder.st_ino;
}

// This thread is without one capability.
class Lowered {
 public:
  explicit Lowered(int capability) {
    REQUIRE(::syscall(SYS_capget, &header_, sets_.data()) == 0);
    auto less = sets_;
    less[static_cast<std::size_t>(CAP_TO_INDEX(capability))].effective &= ~CAP_TO_MASK(capability);
    REQUIRE(::syscall(SYS_capset, &header_, less.data()) == 0);
  }
  Lowered(const Lowered&) = delete;
  Lowered& operator=(const Lowered&) = delete;
  ~Lowered() { (void)::syscall(SYS_capset, &header_, sets_.data()); }

 private:
  __user_cap_header_struct header_{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets_{};
};

int segfault() { return ::raise(SIGSEGV); }

}  // namespace

TEST_CASE("a removed cgroup's values move to other, and the sum stays") {
  auto cgroup = std::make_unique<TestCgroup>("gone");
  const std::string path = cgroup->path();
  Collected collected({"process"});
  for (int i = 0; i < 9; ++i)
    REQUIRE(cgroup->run([] { return ::raise(SIGXFSZ); }) == -SIGXFSZ);
  const Collected::Labels all{{"signal", "SIGXFSZ"}}, other{{"signal", "SIGXFSZ"}, {"cgroup", "other"}};
  collected.read();
  CHECK(collected.value(kExits, {{"cgroup", path}, {"signal", "SIGXFSZ"}}) == 9);
  CHECK(collected.value(kExits, other) == 0);
  cgroup.reset();
  for (int i = 0; i < 3; ++i) {
    wait_for_next_sweep();
    collected.read();
    CHECK(collected.value(kExits, all) == 9);
  }
  CHECK(collected.find(kExits, {{"cgroup", path}}).empty());
  CHECK(collected.value(kExits, other) == 9);
}

TEST_CASE("without the right to open them by their ids, cgroups are found and seen to go, whoever else is asked for") {
  const Lowered lowered(CAP_DAC_READ_SEARCH);
  using Found = collectors::CgroupPlace::Found;
  constexpr auto kWalks = std::chrono::milliseconds(300);
  Result<collectors::CgroupTree> tree = collectors::CgroupTree::open("", kWalks);
  REQUIRE(tree);
  const auto first = std::make_unique<TestCgroup>("first"), second = std::make_unique<TestCgroup>("second");
  const std::uint64_t one = id_of(*first), two = id_of(*second), nobody = ~0ULL, other = ~1ULL;
  CHECK(tree->find(one).path == first->path());
  CHECK(tree->find(two).path == second->path());
  const auto late = std::make_unique<TestCgroup>("late");
  CHECK(tree->find(id_of(*late)).found == Found::not_yet);
  first->remove();
  CHECK(tree->find(nobody).found == Found::not_yet);
  std::this_thread::sleep_for(kWalks);
  CHECK(tree->find(other).found == Found::gone);  // it is for this one that the tree is walked
  CHECK(tree->find(nobody).found == Found::gone);
  CHECK(tree->find(one).found == Found::gone);
  CHECK(tree->find(two).path == second->path());
  CHECK(tree->find(id_of(*late)).path == late->path());
  second->remove();
  CHECK(tree->find(two).found == Found::gone);  // without a walk
  CHECK(tree->find(two).found == Found::gone);  // and stays so
}

TEST_CASE("more cgroups than slots: the rest counts under other, the active ones get a slot") {
  constexpr int kCgroups = 40, kSlots = 16;
  std::vector<std::unique_ptr<TestCgroup>> cgroups;
  for (int i = 0; i < kCgroups; ++i)
    cgroups.push_back(std::make_unique<TestCgroup>("many"));
  Collected collected({"process", "programs"}, kSlots);
  for (const auto& cgroup : cgroups)
    REQUIRE(cgroup->run([] { return ::raise(SIGXFSZ); }) == -SIGXFSZ);
  const Collected::Labels all{{"signal", "SIGXFSZ"}};
  collected.read();
  CHECK(collected.value(kExits, all) == kCgroups);
  CHECK(collected.find(kExits, all).size() <= kSlots + 1);
  CHECK(collected.value(kExits, {{"signal", "SIGXFSZ"}, {"cgroup", "other"}}) >= kCgroups - kSlots);
  CHECK(collected.value("omnitide_ebpf_unplaced_events_total") > 0);
  // The last one found no slot at first. It goes on, the others do not.
  const TestCgroup& late = *cgroups.back();
  int more = 0;
  for (int round = 0; round < 5 && collected.value(kExits, {{"cgroup", late.path()}}) == 0; ++round) {
    wait_for_next_sweep();
    for (int i = 0; i < 5; ++i, ++more)
      REQUIRE(late.run([] { return ::raise(SIGXFSZ); }) == -SIGXFSZ);
    collected.read();
    CHECK(collected.value(kExits, all) == kCgroups + more);
  }
  CHECK(collected.value(kExits, {{"cgroup", late.path()}}) > 0);
  CHECK(collected.value("omnitide_ebpf_cgroup_slots") <= kSlots);
  CHECK(collected.value("omnitide_ebpf_cgroup_slots_evicted_total") > 0);
}

TEST_CASE("10,000 cgroups made and removed leave nothing behind") {
  constexpr int kCgroups = 10'000, kBatch = 500;
  Collected collected({"process", "runq", "programs"});
  collected.read();
  const long before = resident_kib();
  std::size_t most = 0;
  for (int i = 0; i < kCgroups; ++i) {
    const TestCgroup cgroup("short");
    if (i % 5 == 0)
      REQUIRE(cgroup.run(segfault) == -SIGSEGV);  // a process costs more than a cgroup
    else
      REQUIRE(cgroup.run([] { return 0; }) == 0);
    if (i % kBatch == 0) {
      collected.read();
      most = std::max(most, collected.batch().size());
    }
  }
  for (int i = 0; i < 3; ++i) {
    wait_for_next_sweep();
    collected.read();
  }
  CHECK(collected.value(kExits, {{"signal", "SIGSEGV"}}) >= kCgroups / 5);
  CHECK(collected.value("omnitide_ebpf_cgroup_slots") <= 50);
  CHECK(most < 3000);
  CHECK(resident_kib() - before < 4096);
  std::size_t ours = 0;
  for (const auto* view : collected.find(kExits))
    ours += view->labels[0].find("omnitide-test") != std::string_view::npos;
  CHECK(ours == 0);
}

TEST_CASE("a cgroup whose CPU quota is used up counts the periods in which it was stopped") {
  const test::Controller cpu = test::find_controller("cpu");
  const TestCgroup cgroup("quota");
  // systemd's hybrid set-up has the same path in both hierarchies.
  const std::string folder = cpu.root + cgroup.path();
  if (cpu.v1) REQUIRE(::mkdir(folder.c_str(), 0755) == 0);
  const bool limited = cpu.v1 ? test::write_word(folder + "/cpu.cfs_quota_us", "5000")
                              : test::write_word(folder + "/cpu.max", "5000 100000");
  REQUIRE(limited);
  Collected collected({"process", "throttle"});
  const auto begin = std::chrono::steady_clock::now();
  const int code = cgroup.run([&folder] {
    if (!test::write_word(folder + "/cgroup.procs", "0")) return 1;
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    (void)TestCgroup::wait(child);
    timespec used{};
    while (used.tv_nsec < 40'000'000) {  // the quota of eight periods, also on a busy machine
      if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0 || used.tv_sec != 0) break;
    }
    return 0;
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  collected.read();
  const Collected::Labels ours{{"cgroup", cgroup.path()}};
  const double throttled = collected.value("omnitide_cgroup_cpu_throttled_periods_total", ours);
  const double periods = collected.value("omnitide_cgroup_cpu_periods_total", ours);
  const double seconds = collected.value("omnitide_cgroup_cpu_throttled_seconds_total", ours);
  for (int i = 0; cpu.v1 && i < 100 && ::rmdir(folder.c_str()) != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(code == 0);
  CHECK(throttled >= 4);
  CHECK(periods >= throttled);
  CHECK(seconds > 0.2);
  CHECK(seconds < took.count() * std::thread::hardware_concurrency());
}
