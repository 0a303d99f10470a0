/* What the metric programs have in common: cgroups by slot, arrays by shard, histograms by powers of two. The rest of an
 * object's maps is in the header of its own name. docs/metrics-ebpf.md says why it is so.
 *
 * Slots. A cgroup that does something takes a slot, a small number, by which its values are found in an array. There are
 * as many as the configuration says; when none is free its events count under COLLECT_OTHER until user space frees one.
 * Rows of an array: shard * slots + slot; a shard belongs to one CPU, or to a few of them when the additions are atomic.
 * Only programs add; user space reads, and writes to a row only when no program can look for it any more. */
#ifndef OMNITIDE_EBPF_ABI_COLLECT_H
#define OMNITIDE_EBPF_ABI_COLLECT_H

#include <linux/types.h>

enum collect_slot {
  COLLECT_OTHER = 0,      /* cgroups without a slot, and what those counted whose slot was taken away */
  COLLECT_NONE = 1,       /* events that belong to no cgroup, as a reset that no socket sends */
  COLLECT_FIRST_SLOT = 2, /* of real cgroups */
};

/* cgroup_slots: hash, key __u64 id of a cgroup of version 2, value __u32 slot. cgroup_free: queue of __u32 slots.
 * cgroup_state: array of one, BPF_F_MMAPABLE. All objects share them. */
struct collect_state {
  __u32 generation; /* raised by user space when a slot changes hands or becomes free: caches of slots are void */
  __u32 full;       /* set by programs when they find no free slot, cleared by user space when there is one */
};

/* How much of what a CPU does is measured; the part of a `cpus` row that ebpf/programs/collect/rate.h works on. */
enum collect_limit {
  COLLECT_SWITCHES = 32,   /* that are measured one by one in a tick of the kernel's clock */
  COLLECT_INTERRUPTS = 16, /* the same of each sort */
  COLLECT_OF = 16,         /* of the others, one of so many on average */
};
struct collect_rate {
  __u64 tick;
  __u32 seen;    /* events that were measured in it */
  __u32 skip;    /* events to come that are not looked at */
  __u32 skipped; /* the same when that was chosen: what is gone of them counts with the next one that is measured */
  __u32 reserved;
};

/* Buckets of a histogram: bucket i counts values of at most 2^(first + i), the last one all that are larger. */
static inline __attribute__((always_inline)) __u32 collect_bucket(__u64 value, __u32 first, __u32 buckets) {
  __u64 rest = value ? value - 1 : 0; /* so that a power of two falls below its own bound */
  __u32 bits = 0;
  if (rest >> first == 0) return 0; /* most of them, where it matters */
  if (rest >> 32) bits += 32, rest >>= 32;
  if (rest >> 16) bits += 16, rest >>= 16;
  if (rest >> 8) bits += 8, rest >>= 8;
  if (rest >> 4) bits += 4, rest >>= 4;
  if (rest >> 2) bits += 2, rest >>= 2;
  if (rest >> 1) bits += 1, rest >>= 1;
  bits += (__u32)rest;
  bits -= first;
  return bits < buckets ? bits : buckets - 1;
}

#ifdef __cplusplus
#define COLLECT_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define COLLECT_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif
COLLECT_SIZE(collect_state, 8);

#endif
