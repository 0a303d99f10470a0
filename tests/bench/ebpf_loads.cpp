#include "tests/bench/ebpf_loads.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <stdexcept>

#include "agent/base/fd.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/tcp.hpp"

namespace omnitide::bench {

namespace {

constexpr int kSwitchesHere = 4'000, kSwitchesAcross = 1'000, kRequests = 1'000, kReads = 1'000, kWarm = 200;

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

// So that other processes hardly count.
void take(unsigned cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  const sched_param first{.sched_priority = 1};
  require(::sched_setaffinity(0, sizeof one, &one) == 0 && ::sched_setscheduler(0, SCHED_FIFO, &first) == 0,
          "cannot take a CPU");
}

// Processes that end by themselves; all must end well.
class Family {
 public:
  template <class Body>
  void add(Body body) {
    const pid_t pid = ::fork();
    require(pid >= 0, "cannot fork");
    if (pid == 0) ::_exit(body() ? 0 : 1);
    ++members_;
  }
  void wait() {
    for (; members_ > 0; --members_) {
      int status = 0;
      require(::wait(&status) > 0 && status == 0, "a process of a load failed");
    }
  }

 private:
  int members_ = 0;
};

struct Pipe {
  Pipe() {
    std::array<int, 2> both{};
    require(::pipe2(both.data(), O_CLOEXEC) == 0, "no pipe");
    out.reset(both[0]);
    in.reset(both[1]);
  }
  UniqueFd out, in;
};

bool pass(int fd, void* bytes, std::size_t size, bool out) {
  auto* at = static_cast<char*>(bytes);
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = out ? ::write(fd, at + done, size - done) : ::read(fd, at + done, size - done);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

bool ask(int from, int to, int times) {
  char c = 0;
  for (int i = 0; i < times; ++i)
    if (::write(to, &c, 1) != 1 || ::read(from, &c, 1) != 1) return false;
  return true;
}
// One byte to and fro. Who begins tells how long it took.
bool begin(int from, int to, int times, int tell) {
  bool good = ask(from, to, kWarm);
  double took = milliseconds([&] { good = good && ask(from, to, times); });
  return good && pass(tell, &took, sizeof took, true);
}
bool answer(int from, int to, int times) {
  char c = 0;
  for (int i = 0; i < times + kWarm; ++i)
    if (::read(from, &c, 1) != 1 || ::write(to, &c, 1) != 1) return false;
  return true;
}

double told(Family& family, const Pipe& tells) {
  double took = 0;
  require(pass(tells.out.get(), &took, sizeof took, false), "a load told no time");
  family.wait();
  return took;
}

// As `perf bench sched pipe`.
double pipes(bool one_cpu) {
  const int times = one_cpu ? kSwitchesHere : kSwitchesAcross;
  const Pipe there, back, tells;
  Family family;
  family.add([&] {
    take(one_cpu ? 0 : 1);
    return answer(there.out.get(), back.in.get(), times);
  });
  family.add([&] {
    take(0);
    return begin(back.out.get(), there.in.get(), times, tells.in.get());
  });
  return told(family, tells);
}

// As hackbench and `perf bench sched messaging`: groups in which each of ten sends to each of ten.
constexpr int kGroups = 4, kEach = 10, kTimes = 50;
constexpr std::size_t kBytes = 100;

// First among the processes that share the CPUs; they share them as usual among each other.
bool come_first() { return ::setpriority(PRIO_PROCESS, 0, -20) == 0; }

bool receive(int fd) {
  if (!come_first()) return false;
  std::array<char, kBytes> bytes{};
  for (int k = 0; k < kEach * kTimes; ++k)
    if (!pass(fd, bytes.data(), kBytes, false)) return false;
  return true;
}
bool send(const std::vector<std::array<int, 2>>& pairs, int start) {
  std::array<char, kBytes> bytes{};
  if (!come_first() || ::read(start, bytes.data(), 1) != 1) return false;
  for (int k = 0; k < kTimes; ++k)
    for (const auto& pair : pairs)
      if (!pass(pair[1], bytes.data(), kBytes, true)) return false;
  return true;
}

double messages() {
  const Pipe start;
  Family family;
  for (int group = 0; group < kGroups; ++group) {
    std::vector<std::array<int, 2>> pairs(kEach);
    for (auto& pair : pairs)
      require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "no pair of sockets");
    for (const auto& pair : pairs) {
      family.add([&pair] { return receive(pair[0]); });
      family.add([&pairs, &start] { return send(pairs, start.out.get()); });
    }
    for (const auto& pair : pairs) {
      ::close(pair[0]);
      ::close(pair[1]);
    }
  }
  ::usleep(20'000);  // until all of them wait
  std::array<char, kGroups * kEach> go{};
  return milliseconds([&] {
    require(pass(start.in.get(), go.data(), go.size(), true), "cannot begin");
    family.wait();
  });
}

// As fio's randread with O_DIRECT, 4 KiB, one at a time.
double reads(const std::string& device, std::size_t bytes) {
  const Pipe tells;
  Family family;
  family.add([&] {
    const bool first = come_first();
    const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    const std::unique_ptr<void, decltype(&std::free)> page(std::aligned_alloc(4096, 4096), &std::free);
    std::minstd_rand random(1);
    bool good = first && static_cast<bool>(fd);
    double took = milliseconds([&] {
      for (int i = 0; i < kReads && good; ++i)
        good = ::pread(fd.get(), page.get(), 4096, static_cast<off_t>(random() % (bytes / 4096)) * 4096) == 4096;
    });
    return good && pass(tells.in.get(), &took, sizeof took, true);
  });
  return told(family, tells);
}

// As netperf's TCP_RR: one byte to and fro over one connection of the loopback device.
double requests() {
  const UniqueFd listener(test::bound_socket(SOCK_STREAM, "127.0.0.1", 0, 4));
  sockaddr_in at{};
  socklen_t length = sizeof at;
  require(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length) == 0, "cannot listen");
  const int one = 1;
  const Pipe tells;
  Family family;
  family.add([&] {
    take(1);
    const UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return answer(fd.get(), fd.get(), kRequests);
  });
  family.add([&] {
    take(0);
    const UniqueFd fd(test::connected_socket("127.0.0.1", ntohs(at.sin_port)));
    (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return begin(fd.get(), fd.get(), kRequests, tells.in.get());
  });
  return told(family, tells);
}

}  // namespace

std::vector<Load> ebpf_loads(const std::string& device, std::size_t bytes) {
  constexpr int kRuns = 10;
  return {{"pipe1", "pipe, one CPU", kSwitchesHere, kRuns, [] { return pipes(true); }},
          {"pipe2", "pipe, two CPUs", kSwitchesAcross, kRuns, [] { return pipes(false); }},
          {"messages", "messaging", kGroups * kEach * kEach * kTimes, kRuns, messages},
          {"reads", "4 KiB reads, loop", kReads, kRuns, [device, bytes] { return reads(device, bytes); }},
          {"requests", "TCP request/response", kRequests, kRuns, requests}};
}

}  // namespace omnitide::bench
