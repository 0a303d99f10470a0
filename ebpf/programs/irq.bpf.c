/* Time in handlers of software interrupts, by vector, and of devices' interrupts, by number and name. Both are told with
 * that CPU's preemption off, and neither nests in its own kind. */
#include "ebpf/abi/irq.h"
#include "ebpf/programs/collect/rate.h"

HASH(values, BPF_MAP_TYPE_PERCPU_HASH, struct irq_key, struct irq_row, IRQ_ROWS);
SHARED_ARRAY(cpus, struct irq_cpu);

static const struct irq_row empty;

static __always_inline struct irq_cpu *this_cpu(void) {
  const __u32 number = bpf_get_smp_processor_id();
  return bpf_map_lookup_elem(&cpus, &number);
}

static __always_inline void add(struct irq_row *row, __u64 took, __u32 weight) {
  const __u32 bucket = collect_bucket(took, IRQ_FIRST, IRQ_BUCKETS);
  row->ns += took * weight;
  if (bucket < IRQ_BUCKETS) row->times[bucket] += weight;
}

static __noinline int soft_entry(struct irq_cpu *cpu) {
  cpu->soft_weight = weight_of_this(&cpu->soft_rate, COLLECT_INTERRUPTS);
  cpu->runs[IRQ_SOFT_ENTRY] += cpu->soft_weight;
  cpu->soft_start_ns = bpf_ktime_get_ns();
  return 0;
}

/* The start is 0 from an exit to the next entry that is measured. */
SEC("tp_btf/softirq_entry")
int irq_soft_entry(__u64 *ctx) {
  (void)ctx;
  struct irq_cpu *cpu = this_cpu();
  if (cpu && !passes_by(&cpu->soft_rate)) soft_entry(cpu);
  return 0;
}

static __noinline int soft_exit(__u64 *ctx, struct irq_cpu *cpu) {
  const __u64 took = bpf_ktime_get_ns() - cpu->soft_start_ns;
  const __u32 vector = (__u32)ctx[0];
  cpu->runs[IRQ_SOFT_EXIT] += cpu->soft_weight;
  cpu->soft_start_ns = 0;
  if (vector < IRQ_VECTORS) add(&cpu->soft[vector], took, cpu->soft_weight);
  return 0;
}

SEC("tp_btf/softirq_exit")
int irq_soft_exit(__u64 *ctx) {
  struct irq_cpu *cpu = this_cpu();
  if (cpu && cpu->soft_start_ns) soft_exit(ctx, cpu);
  return 0;
}

static __noinline int hard_entry(struct irq_cpu *cpu) {
  cpu->hard_weight = weight_of_this(&cpu->hard_rate, COLLECT_INTERRUPTS);
  cpu->runs[IRQ_HARD_ENTRY] += cpu->hard_weight;
  cpu->hard_start_ns = bpf_ktime_get_ns();
  return 0;
}

/* The start is 0 from an exit to the next entry that is measured. */
SEC("tp_btf/irq_handler_entry")
int irq_hard_entry(__u64 *ctx) {
  (void)ctx;
  struct irq_cpu *cpu = this_cpu();
  if (cpu && !passes_by(&cpu->hard_rate)) hard_entry(cpu);
  return 0;
}

static __noinline int hard_exit(__u64 *ctx, struct irq_cpu *cpu) {
  const __u64 took = bpf_ktime_get_ns() - cpu->hard_start_ns;
  const struct irqaction *action = (const struct irqaction *)ctx[1];
  struct irq_key key = {.irq = (__u32)ctx[0]};
  cpu->runs[IRQ_HARD_EXIT] += cpu->hard_weight;
  cpu->hard_start_ns = 0;
  bpf_probe_read_kernel_str(key.name, sizeof(key.name), action->name);
  struct irq_row *row = bpf_map_lookup_elem(&values, &key);
  if (!row) {
    (void)bpf_map_update_elem(&values, &key, &empty, BPF_NOEXIST);
    row = bpf_map_lookup_elem(&values, &key);
  }
  if (row) add(row, took, cpu->hard_weight);
  else cpu->lost += cpu->hard_weight;
  return 0;
}

SEC("tp_btf/irq_handler_exit")
int irq_hard_exit(__u64 *ctx) {
  struct irq_cpu *cpu = this_cpu();
  if (cpu && cpu->hard_start_ns) hard_exit(ctx, cpu);
  return 0;
}
