/* How long a task that could run waited for a CPU, by the kernel's own account: sched_info.last_queued is the time at which
 * it came into the queue, and is still there when sched_switch tells that it leaves it (kernel/sched/stats.h:
 * sched_info_arrive() comes later). So nothing is done when tasks are woken, which is what costs most elsewhere. Both
 * times are of the queue's clock. The scheduler holds the queue: one program on a CPU at a time, plain additions. */
#include "ebpf/abi/runq.h"
#include "ebpf/programs/collect/rate.h"
#include "ebpf/programs/collect/slots.h"

SHARED_ARRAY(values, struct runq_cgroup);
SHARED_ARRAY(cpus, struct runq_cpu);

static __always_inline struct runq_cgroup *row(struct runq_cpu *cpu, __u32 number, __u64 cgroup, __u32 weight) {
  const struct collect_state *state = slot_state();
  if (!state) return 0;
  const __u32 place = (__u32)(cgroup ^ cgroup >> 4) & (RUNQ_CACHE - 1);
  const __u32 generation = state->generation;
  __u32 slot = cpu->cache[place].slot;
  if (cpu->cache[place].cgroup != cgroup || cpu->cache[place].generation != generation) {
    __u64 unplaced = 0;
    slot = slot_of(cgroup, &unplaced);
    cpu->cache[place].cgroup = cgroup;
    cpu->cache[place].slot = slot;
    cpu->cache[place].generation = generation;
  }
  if (slot == COLLECT_OTHER) cpu->unplaced += weight;
  const __u32 index = (number & (shards - 1)) * slots + slot;
  return bpf_map_lookup_elem(&values, &index);
}

static __always_inline int could_go_on(const struct task_struct *task, int preempted) {
  if (preempted) return 1;
  if (bpf_core_field_exists(task->__state)) return task->__state == 0;
  return ((const struct task_struct___before_5_14 *)task)->state == 0;
}

static __noinline int look(__u64 *ctx, struct runq_cpu *cpu, __u32 number) {
  const __u32 weight = weight_of_this(&cpu->rate, COLLECT_SWITCHES);
  const struct task_struct *from = (const struct task_struct *)ctx[1];
  const struct task_struct *to = (const struct task_struct *)ctx[2];
  cpu->runs[RUNQ_SWITCH] += weight;
  if (from->pid && could_go_on(from, (int)ctx[0])) {
    struct runq_cgroup *values_of = row(cpu, number, cgroup_of_task(from), weight);
    if (values_of) values_of->preemptions += weight;
  }
  if (!to->pid) return 0;
  const __u64 queued = to->sched_info.last_queued;
  if (!queued) return 0;
  const __u64 now = to->se.cfs_rq->rq->clock; /* of every task, whatever its class: set_task_rq() in kernel/sched/sched.h */
  const __u64 wait = now > queued ? now - queued : 0;
  struct runq_cgroup *values_of = row(cpu, number, cgroup_of_task(to), weight);
  if (!values_of) return 0;
  values_of->wait_ns += wait * weight;
  const __u32 bucket = collect_bucket(wait, RUNQ_FIRST, RUNQ_BUCKETS);
  if (bucket < RUNQ_BUCKETS) values_of->waits[bucket] += weight;
  return 0;
}

SEC("tp_btf/sched_switch")
int runq_switch(__u64 *ctx) {
  const __u32 number = bpf_get_smp_processor_id();
  struct runq_cpu *cpu = bpf_map_lookup_elem(&cpus, &number);
  if (cpu && !passes_by(&cpu->rate)) look(ctx, cpu, number);
  return 0;
}
