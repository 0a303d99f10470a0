// Run-queue latency and preemptions by cgroup.
#include "ebpf/abi/runq.h"

#include <bit>
#include <numeric>

#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"
#include "ebpf/collectors/slot_values.hpp"
#include "ebpf/programs/runq.bpf.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr MetricDescriptor kWait{
    "omnitide_scheduler_wait_seconds", "seconds",
    "How long tasks that could run waited in a CPU's queue before they ran there, by cgroup; a sample of very many.",
    MetricType::histogram, kCgroupLabels};
constexpr MetricDescriptor kPreemptions{
    "omnitide_scheduler_preemptions_total", "",
    "Times a task was taken off its CPU while it could have run on, by cgroup; from a sample of very many.",
    MetricType::counter, kCgroupLabels};
constexpr std::array kRunqFamilies{&kWait, &kPreemptions};

struct RunqState {
  Object object;
  std::shared_ptr<SlotValues<runq_cgroup>> values;
};

std::uint64_t waits_of(const runq_cgroup& row) {
  return std::accumulate(std::begin(row.waits), std::end(row.waits), std::uint64_t{0});
}

void add(model::SampleBatch& batch, const CgroupLabels& cgroup, const runq_cgroup& row) {
  const Histogram waits(row.waits, row.wait_ns, {RUNQ_FIRST, kNanosecond});
  if (waits.empty() && row.preemptions == 0) return;
  CgroupValues labels(cgroup);
  batch.add(kWait, waits.distribution(), labels.with());
  batch.add(kPreemptions, static_cast<double>(row.preemptions), labels.with());
}

}  // namespace

Families runq_families() { return kRunqFamilies; }

Result<Collect> open_runq(const Setup& setup) {
  if (!setup.types.has_field("sched_info", "last_queued"))
    return fail(Code::failed_precondition, "the kernel keeps no account of waiting tasks (CONFIG_SCHED_INFO)");
  if (!setup.types.has_field("sched_entity", "cfs_rq") || !setup.types.has_field("cfs_rq", "rq"))
    return fail(Code::failed_precondition, "the kernel has no groups of tasks (CONFIG_FAIR_GROUP_SCHED)");
  Result<Object> object = Object::open("runq", ebpf::runq_object());
  if (object.has_error()) return object.error();
  // Plain additions: a shard for each CPU.
  const std::uint32_t shards = std::bit_ceil(setup.cpus);
  if (Result<> done = use_slots(*object, setup, shards); done.has_error()) return done.error();
  if (Result<> done = object->load(); done.has_error()) return done.error();
  const Result<MappedArray> rows = object->array("values");
  if (rows.has_error()) return rows.error();
  if (Result<> done = put_on_board(*object, setup, "ebpf.runq", {"runq_switch"}, true, false); done.has_error())
    return done.error();
  auto state = std::make_shared<RunqState>(
      RunqState{std::move(*object), SlotValues<runq_cgroup>::open(setup.slots, *rows, waits_of)});
  if (Result<> done = state->object.attach(); done.has_error()) return done.error();
  return Collect([state](model::SampleBatch& batch) -> Result<> {
    state->values->read([&batch](const CgroupLabels& cgroup, const runq_cgroup& row) { add(batch, cgroup, row); });
    return {};
  });
}

}  // namespace omnitide::collectors
