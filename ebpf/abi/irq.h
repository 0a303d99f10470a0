/* Time in interrupts: what ebpf/programs/irq.bpf.c and ebpf/collectors/irq.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_IRQ_H
#define OMNITIDE_EBPF_ABI_IRQ_H

#include "ebpf/abi/collect.h"

enum irq_limits {
  IRQ_FIRST = 8,    /* 2^8 ns */
  IRQ_BUCKETS = 19, /* up to 2^25 ns: 34 milliseconds, and the larger ones */
  IRQ_VECTORS = 10, /* NR_SOFTIRQS in include/linux/interrupt.h */
  IRQ_NAME = 24,
  IRQ_ROWS = 256,
};
enum irq_program { IRQ_SOFT_ENTRY, IRQ_SOFT_EXIT, IRQ_HARD_ENTRY, IRQ_HARD_EXIT, IRQ_PROGRAMS };

struct irq_row {
  __u64 ns;
  __u64 times[IRQ_BUCKETS];
};

/* values: per-CPU hash, value irq_row: interrupts of devices. */
struct irq_key {
  __u32 irq;
  char name[IRQ_NAME]; /* of the action, zeros behind it */
  __u32 reserved;
};

/* cpus: array by CPU. */
struct irq_cpu {
  __u64 runs[IRQ_PROGRAMS];
  __u64 lost; /* interrupts for which `values` had no room */
  __u64 soft_start_ns; /* 0: this one is not measured, as the next */
  __u64 hard_start_ns;
  __u32 soft_weight, hard_weight; /* events that it counts for */
  struct collect_rate soft_rate, hard_rate;
  struct irq_row soft[IRQ_VECTORS];
};

COLLECT_SIZE(irq_key, 32);
COLLECT_SIZE(irq_cpu, 1712);

#endif
