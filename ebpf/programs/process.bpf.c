/* Processes: begun, replaced by another program, ended. Threads are not told. */
#include "ebpf/abi/process.h"
#include "ebpf/programs/collect/slots.h"

SHARED_ARRAY(values, struct process_cgroup);
SHARED_ARRAY(cpus, struct process_cpu);

/* Processes whose end is counted. */
struct ended {
  __u64 signal;
  __u64 tgid;
};
HASH(ended, BPF_MAP_TYPE_LRU_HASH, struct ended, __u32, 1024);

const volatile __u32 tells_last = 0; /* sched_process_exit has a second argument: this was the last thread (Linux 6.16) */

static __always_inline struct process_cgroup *row(struct process_cpu *cpu, const struct task_struct *task) {
  const __u32 index = row_of(slot_of(cgroup_of_task(task), &cpu->unplaced));
  return bpf_map_lookup_elem(&values, &index);
}

SEC("tp_btf/sched_process_fork")
int process_fork(__u64 *ctx) {
  const struct task_struct *child = (const struct task_struct *)ctx[1];
  struct process_cpu *cpu = CPU_OF(process_cpu, PROCESS_FORK);
  if (!cpu || child->pid != child->tgid) return 0;
  struct process_cgroup *values_of = row(cpu, child);
  if (values_of) ADD(values_of->forks, 1);
  return 0;
}

SEC("tp_btf/sched_process_exec")
int process_exec(__u64 *ctx) {
  struct process_cpu *cpu = CPU_OF(process_cpu, PROCESS_EXEC);
  if (!cpu) return 0;
  struct process_cgroup *values_of = row(cpu, (const struct task_struct *)ctx[0]);
  if (values_of) ADD(values_of->execs, 1);
  return 0;
}

/* Threads leave signal->live before their end is told, so that more than one of them may find it to be zero. */
static __always_inline int is_last(const struct task_struct *task) {
  if (task->signal->live.counter != 0) return 0;
  const struct ended key = {.signal = (__u64)task->signal, .tgid = (__u32)task->tgid};
  const __u32 one = 1;
  return bpf_map_update_elem(&ended, &key, &one, BPF_NOEXIST) == 0;
}

/* The last thread is the process. Its exit code is that of the whole group when a signal ended it (do_group_exit() in
 * kernel/exit.c). A victim of the OOM killer is known by oom_mm, which mark_oom_victim() sets (mm/oom_kill.c):
 * oom/mark_victim tells the same earlier, but has had two forms. */
SEC("tp_btf/sched_process_exit")
int process_exit(__u64 *ctx) {
  const struct task_struct *task = (const struct task_struct *)ctx[0];
  struct process_cpu *cpu = CPU_OF(process_cpu, PROCESS_EXIT);
  if (!cpu || !(tells_last ? (ctx[1] & 1) : is_last(task))) return 0;
  struct process_cgroup *values_of = row(cpu, task);
  if (!values_of) return 0;
  __u32 number = (__u32)task->exit_code & 0x7f;
  if (number >= PROCESS_SIGNALS) number = PROCESS_SIGNALS - 1;
  ADD(values_of->exits[number], 1);
  if (task->signal->oom_mm) ADD(values_of->oom_kills, 1);
  return 0;
}

/* At each major fault, by the kernel's own software event: nothing is spent on the others. */
SEC("perf_event")
int process_fault(void *ctx) {
  (void)ctx;
  struct process_cpu *cpu = CPU_OF(process_cpu, PROCESS_FAULT);
  if (!cpu) return 0;
  const __u32 index = row_of(slot_of(bpf_get_current_cgroup_id(), &cpu->unplaced));
  struct process_cgroup *values_of = bpf_map_lookup_elem(&values, &index);
  if (values_of) ADD(values_of->major_faults, 1);
  return 0;
}
