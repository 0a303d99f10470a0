// What the scheduler and the interrupt code count: /proc/stat, /proc/schedstat, /proc/pressure, /proc/net/softnet_stat.
#include <fmt/format.h>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::array<std::string_view, 1> kByVector{"vector"};
constexpr std::array kStat{gauge("node_boot_time_seconds", "When the node was booted, in seconds since 1970."),
                           counter("node_context_switches_total", "Changes from one task to another on a CPU."),
                           counter("node_forks_total", "Processes and threads that were made."),
                           counter("node_intr_total", "Interrupts that were handled."),
                           gauge("node_procs_blocked", "Tasks that wait for I/O."),
                           gauge("node_procs_running", "Tasks that run or could run."),
                           counter("node_softirqs_total", "Soft interrupts by their kind.", kByVector)};
constexpr auto kStatAll = pointers(kStat);
constexpr std::array<std::string_view, 6> kStatLines{"btime", "ctxt",          "processes",
                                                     "intr",  "procs_blocked", "procs_running"};
// In the kernel's order: include/linux/interrupt.h.
constexpr std::array<std::string_view, 10> kVectors{"hi",           "timer",   "net_tx", "net_rx",  "block",
                                                    "block_iopoll", "tasklet", "sched",  "hrtimer", "rcu"};

constexpr std::array kSched{
    counter("node_schedstat_running_seconds_total", "Time that tasks ran on a CPU.", kByCpu),
    counter("node_schedstat_waiting_seconds_total", "Time that tasks waited for a CPU while they could run.", kByCpu),
    counter("node_schedstat_timeslices_total", "Turns that tasks had on a CPU.", kByCpu)};
constexpr auto kSchedAll = pointers(kSched);

constexpr std::array kPressure{
    counter("node_pressure_cpu_waiting_seconds_total", "Time that some task waited for a CPU."),
    counter("node_pressure_io_waiting_seconds_total", "Time that some task waited for I/O."),
    counter("node_pressure_io_stalled_seconds_total", "Time that no task could go on, all waited for I/O."),
    counter("node_pressure_memory_waiting_seconds_total", "Time that some task waited for memory."),
    counter("node_pressure_memory_stalled_seconds_total", "Time that no task could go on, all waited for memory."),
    counter("node_pressure_irq_stalled_seconds_total", "Time that no task could go on since interrupts were handled.")};
constexpr auto kPressureAll = pointers(kPressure);

constexpr std::array kSoftnet{
    counter("node_softnet_processed_total", "Packets that a CPU took from the devices.", kByCpu),
    counter("node_softnet_dropped_total", "Packets dropped since a CPU's queue was full.", kByCpu),
    counter("node_softnet_times_squeezed_total", "Times a CPU had to stop with packets left to take.", kByCpu)};
constexpr auto kSoftnetAll = pointers(kSoftnet);

Result<> add_stat(std::string_view text, bool vectors, SampleBatch& batch) {
  bool good = true;
  each_line(text, [&](std::string_view line) {
    if (line.starts_with("cpu")) return;
    Words words(line);
    const std::string_view field = words.next();
    for (std::size_t i = 0; i < kStatLines.size(); ++i) {
      if (field != kStatLines.at(i)) continue;
      const std::optional<double> value = value_of(words.next());
      good = good && value;
      if (value) batch.add(kStat.at(i), *value);
    }
    if (!vectors || field != "softirq") return;
    (void)words.next();  // the sum
    for (const std::string_view vector : kVectors) {
      const std::optional<double> value = value_of(words.next());
      if (value) batch.add(kStat[6], *value, {vector});
    }
  });
  return good ? Result<>{} : Result<>(malformed("/proc/stat"));
}

// "cpu0 0 0 0 0 0 0 RUNNING WAITING SLICES", in nanoseconds: Documentation/scheduler/sched-stats.rst.
Result<> add_sched(std::string_view text, SampleBatch& batch) {
  bool good = true;
  each_line(text, [&](std::string_view line) {
    if (!line.starts_with("cpu")) return;
    Words words(line);
    const std::string_view cpu = words.next().substr(3);
    const std::optional<double> running = value_of(words.skip(6));
    const std::optional<double> waiting = value_of(words.next());
    const std::optional<double> slices = value_of(words.next());
    if (!running || !waiting || !slices) {
      good = false;
      return;
    }
    batch.add(kSched[0], *running / 1e9, {cpu});
    batch.add(kSched[1], *waiting / 1e9, {cpu});
    batch.add(kSched[2], *slices, {cpu});
  });
  return good ? Result<>{} : Result<>(malformed("/proc/schedstat"));
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234", in microseconds.
std::optional<double> stalled(std::string_view text, std::string_view kind) {
  std::optional<double> out;
  each_line(text, [&](std::string_view line) {
    Words words(line);
    if (words.next() != kind) return;
    std::string_view total = words.skip(3);
    if (cut(total, '=') == "total") out = value_of(total);
  });
  return out;
}

struct PressureState {
  KeptFile cpu, io, memory, irq;

  Result<> add(KeptFile& file, const MetricDescriptor* some, const MetricDescriptor* full, SampleBatch& batch) {
    const Result<std::string_view> text = file.read();
    if (text.has_error()) return text.error();
    const std::array<std::pair<const MetricDescriptor*, std::string_view>, 2> kinds{{{some, "some"}, {full, "full"}}};
    for (const auto& [family, kind] : kinds) {
      if (family == nullptr) continue;
      const std::optional<double> total = stalled(*text, kind);
      if (!total) return malformed(file.path());
      batch.add(*family, *total / 1000.0 / 1000.0);
    }
    return {};
  }
};

Result<> add_softnet(std::string_view text, SampleBatch& batch) {
  unsigned cpu = 0;
  bool good = true;
  each_line(text, [&](std::string_view line) {
    if (line.empty()) return;
    const std::string name = std::to_string(cpu++);
    Words words(line);
    for (const MetricDescriptor& family : kSoftnet) {
      const auto value = parse_number<std::uint64_t>(words.next(), 16);
      good = good && value;
      if (value) batch.add(family, static_cast<double>(*value), {name});
    }
  });
  return good ? Result<>{} : Result<>(malformed("/proc/net/softnet_stat"));
}

}  // namespace

Collector stat_collector(const Root&, const Settings& settings, std::shared_ptr<SharedFile> proc_stat) {
  const bool vectors = settings.flag("stat.softirq");
  const auto collect = [proc_stat, vectors](SampleBatch& batch) -> Result<> {
    return proc_stat->with([&](std::string_view text) { return add_stat(text, vectors, batch); });
  };
  return {"stat", kStatAll, collect, "/proc/stat", kQuick};
}

Collector schedstat_collector(const Root& root) {
  return file_collector("schedstat", kSchedAll, root, "/proc/schedstat", add_sched);
}

Collector pressure_collector(const Root& root) {
  const auto state = std::make_shared<PressureState>(
      PressureState{KeptFile(root, "/proc/pressure/cpu"), KeptFile(root, "/proc/pressure/io"),
                    KeptFile(root, "/proc/pressure/memory"), KeptFile(root, "/proc/pressure/irq")});
  const auto collect = [state](SampleBatch& batch) -> Result<> {
    const Result<> cpu = state->add(state->cpu, &kPressure[0], nullptr, batch);
    if (cpu.has_error()) return cpu;
    const Result<> io = state->add(state->io, &kPressure[1], &kPressure[2], batch);
    if (io.has_error()) return io;
    const Result<> memory = state->add(state->memory, &kPressure[3], &kPressure[4], batch);
    if (memory.has_error()) return memory;
    const Result<> irq = state->add(state->irq, nullptr, &kPressure[5], batch);
    return irq.has_error() && irq.error().code != Code::not_found ? irq : Result<>{};  // since 6.1, an option
  };
  return {"pressure", kPressureAll, collect, "/proc/pressure", kQuick};
}

Collector softnet_collector(const Root& root) {
  return file_collector("softnet", kSoftnetAll, root, "/proc/net/softnet_stat", add_softnet);
}

}  // namespace omnitide::discovery
