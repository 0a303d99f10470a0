// What the eBPF metrics cost those who are measured: loads without and with all collectors, in turn within one run, and
// the nanoseconds of each program a run. tests/bench/ebpf_overhead.sh says how to run it. Needs root.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ebpf/collectors/run_time.hpp"
#include "tests/bench/ebpf_fio.hpp"
#include "tests/bench/ebpf_loads.hpp"
#include "tests/bench/ebpf_watch.hpp"
#include "tests/bench/rows.hpp"
#include "tests/harness/loop_device.hpp"

using namespace omnitide;

namespace {

struct Figures {
  std::vector<double> off, on, ratios;
};

// Programs that are there without ours, but for those that the kernel still frees: ours are the second ones then, which
// costs more than the first.
void warn_of_others() {
  static bool warned = false;
  for (int i = 0; i < 20 && !warned && bench::somebody_watches(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (warned || !bench::somebody_watches()) return;
  warned = true;
  fmt::print("another process has its collectors open (an agent?): these figures are not those of ours alone\n");
}

// The quickest of some runs: what else the machine does makes a run slower, never quicker.
double phase(const bench::Load& load, bool on, std::string_view watchers) {
  const std::optional<bench::Watch> watch = on ? std::optional<bench::Watch>(watchers) : std::nullopt;
  // What loading and freeing programs leaves to the kernel's workers, and to cold caches, is not the collectors'.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (!on) warn_of_others();
  (void)load.run();
  std::vector<double> times(static_cast<std::size_t>(load.runs));
  for (double& time : times)
    time = load.run();
  return bench::percentile(times, 0);
}

// Without, with, with, without, or the other way round: what drifts meanwhile is the same for both.
void round(const bench::Load& load, std::string_view watchers, bool begins_with, Figures& figures) {
  double sums[2]{};
  for (const bool on : {begins_with, !begins_with, !begins_with, begins_with}) {
    const double took = phase(load, on, watchers);
    sums[on ? 1 : 0] += took;
    (on ? figures.on : figures.off).push_back(took);
  }
  figures.ratios.push_back(sums[1] / sums[0]);
}

void print_run_times(const bench::Load& load, std::string_view watchers) {
  const bench::Watch watch(watchers);
  Result<std::vector<collectors::ProgramTime>> times = std::vector<collectors::ProgramTime>{};
  std::thread watcher([&times] { times = collectors::bpf_run_times(std::chrono::milliseconds(400)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  (void)load.run();
  watcher.join();
  if (times.has_error()) throw std::runtime_error(times.error().text());
  for (const collectors::ProgramTime& each : *times) {
    const auto runs = static_cast<double>(each.runs);
    if (runs < load.transactions / 20) continue;
    fmt::print("  {:<22} {:<16} {:6.2f} runs a transaction  {:7.1f} ns a run\n", load.name, each.name,
               runs / load.transactions, static_cast<double>(each.time.count()) / runs);
  }
}

void print(const bench::Load& load, std::string_view watchers, const Figures& figures) {
  const double off = bench::percentile(figures.off, 50), on = bench::percentile(figures.on, 50);
  const double ratio = bench::percentile(figures.ratios, 50);
  fmt::print("{:<22} {:.0f} ns a transaction, ratio {:.3f}, half of the rounds {:.3f} to {:.3f}\n", load.name,
             off / load.transactions * 1e6, ratio, bench::percentile(figures.ratios, 25),
             bench::percentile(figures.ratios, 75));
  bench::row(fmt::format("{}: {}", watchers == "empty" ? "empty programs" : "eBPF metrics", load.name),
             fmt::format("{:.1f} ms", on), fmt::format("{:.1f} ms", off), fmt::format("{:.3f}", ratio));
}

int measure(int rounds, std::string_view watchers, std::string_view loads) {
  for (const std::string& each : bench::Watch(watchers).others())
    fmt::print("{}\n", each);
  const test::LoopDevice loop;
  const std::string device = "/dev/" + loop.name();
  std::vector<bench::Load> chosen = bench::ebpf_loads(device, test::LoopDevice::kBytes);
  std::ranges::move(bench::fio_loads(device), std::back_inserter(chosen));
  std::erase_if(chosen, [loads](const bench::Load& load) { return !bench::has(loads, load.key); });
  std::vector<Figures> figures(chosen.size());
  for (int i = 0; i < rounds; ++i)
    for (std::size_t k = 0; k < chosen.size(); ++k)
      round(chosen[k], watchers, i % 2 == 1, figures[k]);
  fmt::print("a run of each program takes, under the kernel's statistics, which add their own part:\n");
  for (const bench::Load& load : chosen)
    print_run_times(load, watchers);
  for (std::size_t k = 0; k < chosen.size(); ++k)
    print(chosen[k], watchers, figures[k]);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  if (rounds < 1 || rounds > 1000 || argc > 4) {
    std::fputs("usage: ebpf_overhead [ROUNDS [COLLECTOR,... | empty [LOAD,...]]]\n", stderr);
    return 2;
  }
  try {
    return measure(rounds, argc > 2 ? argv[2] : "", argc > 3 ? argv[3] : "");
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "ebpf_overhead: %s\n", problem.what());
    return 1;
  }
}
