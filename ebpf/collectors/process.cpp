// Processes by cgroup: starts, ends, OOM kills, major faults.
#include "ebpf/abi/process.h"

#include <signal.h>
#include <string.h>

#include <numeric>
#include <string>

#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/collectors/slot_values.hpp"
#include "ebpf/programs/process.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::uint32_t kMostShards = 8;

constexpr auto kSignal = with_cgroup(std::array<std::string_view, 1>{"signal"});
constexpr MetricDescriptor kForks{"omnitide_process_starts_total", "", "Processes that began, by cgroup.",
                                  MetricType::counter, kCgroupLabels};
constexpr MetricDescriptor kExecs{"omnitide_process_execs_total", "",
                                  "Programs that processes began to run (execve), by cgroup.", MetricType::counter,
                                  kCgroupLabels};
constexpr MetricDescriptor kExits{
    "omnitide_process_exits_total", "",
    "Processes that ended, by the signal that ended them (\"none\": by themselves) and cgroup.", MetricType::counter,
    kSignal};
constexpr MetricDescriptor kKills{"omnitide_oom_kills_total", "",
                                  "Processes that ended as victims of the kernel's out-of-memory killer, by cgroup.",
                                  MetricType::counter, kCgroupLabels};
constexpr MetricDescriptor kFaults{"omnitide_process_major_faults_total", "",
                                   "Page faults that had to wait for a disk, by cgroup.", MetricType::counter,
                                   kCgroupLabels};
constexpr std::array kProcessFamilies{&kForks, &kExecs, &kExits, &kKills, &kFaults};

struct ProcessState {
  Object object;
  std::shared_ptr<SlotValues<process_cgroup>> values;
};

std::uint64_t events_of(const process_cgroup& row) {
  return std::accumulate(std::begin(row.exits), std::end(row.exits), row.forks + row.execs + row.major_faults);
}

std::string signal_name(std::size_t number) {
  if (number == 0) return "none";
  const char* name = number < 32 ? ::sigabbrev_np(static_cast<int>(number)) : nullptr;
  return name == nullptr ? "real-time" : std::string("SIG") + name;
}

void add(model::SampleBatch& batch, const CgroupLabels& cgroup, const process_cgroup& row) {
  if (events_of(row) == 0) return;
  CgroupValues labels(cgroup);
  const auto count = [&batch, &labels](const MetricDescriptor& metric, std::uint64_t value) {
    batch.add(metric, static_cast<double>(value), labels.with());
  };
  count(kForks, row.forks);
  count(kExecs, row.execs);
  count(kKills, row.oom_kills);
  count(kFaults, row.major_faults);
  for (std::size_t i = 0; i < PROCESS_SIGNALS; ++i) {
    if (row.exits[i] != 0) batch.add(kExits, static_cast<double>(row.exits[i]), labels.with({signal_name(i)}));
  }
}

}  // namespace

Families process_families() { return kProcessFamilies; }

Result<Collect> open_process(const Setup& setup) {
  Result<Object> object = Object::open("process", ebpf::process_object());
  if (object.has_error()) return object.error();
  if (Result<> done = use_slots(*object, setup, setup.shards(kMostShards)); done.has_error()) return done.error();
  const bool tells_last = setup.types.arguments("sched_process_exit") > 1;
  if (Result<> done = object->set("tells_last", tells_last ? 1 : 0); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<MappedArray> rows = object->array("values");
  if (rows.has_error()) return rows.error();
  const std::vector<std::string_view> programs{"process_fork", "process_exec", "process_exit", "process_fault"};
  if (Result<> done = put_on_board(*object, setup, "ebpf.process", programs, true, false); done.has_error())
    return done.error();
  auto state = std::make_shared<ProcessState>(
      ProcessState{std::move(*object), SlotValues<process_cgroup>::open(setup.slots, *rows, events_of)});
  if (Result<> done = state->object.attach(); done.has_error()) return done.error();
  if (Result<> done = state->object.attach_to_major_faults("process_fault"); done.has_error()) return done.error();
  return Collect([state](model::SampleBatch& batch) -> Result<> {
    state->values->read([&batch](const CgroupLabels& cgroup, const process_cgroup& row) { add(batch, cgroup, row); });
    return {};
  });
}

}  // namespace omnitide::collectors
