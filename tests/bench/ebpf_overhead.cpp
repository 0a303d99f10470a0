// What the eBPF metrics cost those who are measured: four loads without and with all collectors, in turn within one
// run, and the nanoseconds of each program a run. tests/bench/ebpf_overhead.sh says how to run it. Needs root.
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/text.hpp"
#include "ebpf/collectors/catalogue.hpp"
#include "ebpf/collectors/run_time.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/loop_device.hpp"
#include "tests/harness/tcp.hpp"

using namespace omnitide;

namespace {

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(what);
}

void pin(unsigned cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  require(::sched_setaffinity(0, sizeof one, &one) == 0, "cannot pin");
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

bool pass(int fd, char* bytes, std::size_t size, bool out) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t n = out ? ::write(fd, bytes + done, size - done) : ::read(fd, bytes + done, size - done);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

// As `perf bench sched pipe`: one byte to and fro between two processes.
void pipes(bool one_cpu) {
  const int times = one_cpu ? 30'000 : 6'000;
  std::array<int, 2> there{}, back{};
  require(::pipe(there.data()) == 0 && ::pipe(back.data()) == 0, "no pipe");
  Family family;
  const auto side = [one_cpu, times](unsigned cpu, int from, int to, bool first) {
    pin(one_cpu ? 0 : cpu);
    char c = 0;
    for (int i = 0; i < times; ++i) {
      if (first && ::write(to, &c, 1) != 1) return false;
      if (::read(from, &c, 1) != 1) return false;
      if (!first && ::write(to, &c, 1) != 1) return false;
    }
    return true;
  };
  family.add([&] { return side(0, back[0], there[1], true); });
  family.add([&] { return side(1, there[0], back[1], false); });
  family.wait();
  for (const int fd : {there[0], there[1], back[0], back[1]})
    ::close(fd);
}

// As hackbench and `perf bench sched messaging`: groups in which each of ten sends to each of ten.
void messaging() {
  constexpr int kGroups = 4, kEach = 10, kTimes = 200;
  constexpr std::size_t kBytes = 100;
  Family family;
  for (int group = 0; group < kGroups; ++group) {
    std::vector<std::array<int, 2>> pairs(kEach);
    for (auto& pair : pairs)
      require(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "no pair of sockets");
    for (int i = 0; i < kEach; ++i) {
      family.add([&pairs, i] {
        std::array<char, kBytes> bytes{};
        for (int k = 0; k < kEach * kTimes; ++k)
          if (!pass(pairs[static_cast<std::size_t>(i)][0], bytes.data(), kBytes, false)) return false;
        return true;
      });
      family.add([&pairs] {
        std::array<char, kBytes> bytes{};
        for (int k = 0; k < kTimes; ++k)
          for (const auto& pair : pairs)
            if (!pass(pair[1], bytes.data(), kBytes, true)) return false;
        return true;
      });
    }
    for (const auto& pair : pairs) {
      ::close(pair[0]);
      ::close(pair[1]);
    }
  }
  family.wait();
}

// As fio's randread with O_DIRECT, 4 KiB, one at a time.
void reads(const std::string& device) {
  constexpr int kTimes = 6'000;
  const UniqueFd fd(::open(device.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  require(static_cast<bool>(fd), "cannot open the loop device");
  const std::unique_ptr<void, decltype(&std::free)> page(std::aligned_alloc(4096, 4096), &std::free);
  std::minstd_rand random(1);
  for (int i = 0; i < kTimes; ++i) {
    const off_t at = static_cast<off_t>(random() % (test::LoopDevice::kBytes / 4096)) * 4096;
    require(::pread(fd.get(), page.get(), 4096, at) == 4096, "cannot read the loop device");
  }
}

// As netperf's TCP_RR: one byte to and fro over one connection of the loopback device.
void requests() {
  constexpr int kTimes = 6'000;
  const UniqueFd listener(test::bound_socket(SOCK_STREAM, "127.0.0.1", 0, 4));
  sockaddr_in at{};
  socklen_t length = sizeof at;
  require(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length) == 0, "cannot listen");
  const std::uint16_t port = ntohs(at.sin_port);
  const auto talk = [](int fd, bool first) {
    const int one = 1;
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char c = 0;
    for (int i = 0; i < kTimes; ++i) {
      if (first && ::write(fd, &c, 1) != 1) return false;
      if (::read(fd, &c, 1) != 1) return false;
      if (!first && ::write(fd, &c, 1) != 1) return false;
    }
    return true;
  };
  Family family;
  family.add([&] {
    pin(0);
    return talk(::accept(listener.get(), nullptr, nullptr), false);
  });
  family.add([&] {
    pin(1);
    return talk(test::connected_socket("127.0.0.1", port), true);
  });
  family.wait();
}

struct Load {
  const char* name;
  std::function<void()> run;
  std::vector<double> off{}, on{};
};

collectors::Options options_of(std::string_view only) {
  collectors::Options out;
  for (const std::string_view name : collectors::names()) {
    bool wanted = only.empty();
    for (const std::string_view each : split(only, ','))
      wanted = wanted || each == name;
    if (!wanted) out.exclude.emplace_back(name);
  }
  return out;
}

std::vector<collectors::EbpfCollector> open_collectors(const collectors::Options& options) {
  std::vector<collectors::EbpfCollector> out = collectors::open_all(options);
  for (const collectors::EbpfCollector& each : out) {
    if (!each.off.empty() && each.off.find("excluded") == std::string::npos)
      throw std::runtime_error(std::string(each.collector.name) + " is off: " + each.off);
  }
  return out;
}

void print_run_times(std::vector<Load>& loads, const collectors::Options& options) {
  const auto kept = open_collectors(options);
  for (Load& load : loads) {
    Result<std::vector<collectors::ProgramTime>> times = std::vector<collectors::ProgramTime>{};
    std::thread watcher([&times] { times = collectors::bpf_run_times(std::chrono::milliseconds(400)); });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    load.run();
    load.run();
    watcher.join();
    if (times.has_error()) throw std::runtime_error(times.error().text());
    for (const collectors::ProgramTime& each : *times) {
      if (each.runs < 500) continue;
      fmt::print("  {:<22} {:<16} {:>8} runs  {:7.1f} ns a run\n", load.name, each.name, each.runs,
                 static_cast<double>(each.time.count()) / static_cast<double>(each.runs));
    }
  }
}

int measure(int rounds, std::string_view only) {
  const test::LoopDevice loop;
  const collectors::Options options = options_of(only);
  std::vector<Load> loads{{"pipe, one CPU", [] { pipes(true); }},
                          {"pipe, two CPUs", [] { pipes(false); }},
                          {"messaging", messaging},
                          {"4 KiB reads, loop", [&loop] { reads("/dev/" + loop.name()); }},
                          {"TCP request/response", requests}};
  for (Load& load : loads)
    load.run();  // once for the caches
  for (int round = 0; round < rounds; ++round) {
    for (Load& load : loads) {
      // Side by side: what else the machine does is then the same for both.
      for (const bool on : {round % 2 == 1, round % 2 == 0}) {
        const auto kept = on ? open_collectors(options) : std::vector<collectors::EbpfCollector>{};
        // What loading and freeing programs leaves to the kernel's workers, and to cold caches, is not the collectors'.
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        load.run();
        (on ? load.on : load.off).push_back(bench::milliseconds(load.run));
      }
    }
  }
  fmt::print("{} rounds; a run of each program takes, under the kernel's statistics, which add their own part:\n",
             rounds);
  print_run_times(loads, options);
  for (const Load& load : loads) {
    const double off = bench::percentile(load.off, 50), on = bench::percentile(load.on, 50);
    bench::row(fmt::format("eBPF metrics: {}", load.name), fmt::format("{:.1f} ms", on), fmt::format("{:.1f} ms", off),
               fmt::format("{:.3f}", on / off));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1 || rounds > 1000) {
    std::fputs("usage: ebpf_overhead [ROUNDS [COLLECTOR,...]]\n", stderr);
    return 2;
  }
  try {
    return measure(rounds, argc > 2 ? argv[2] : "");
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "ebpf_overhead: %s\n", problem.what());
    return 1;
  }
}
