/* Run-queue latency: what ebpf/programs/runq.bpf.c and ebpf/collectors/runq.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_RUNQ_H
#define OMNITIDE_EBPF_ABI_RUNQ_H

#include "ebpf/abi/collect.h"

enum runq_limits {
  RUNQ_FIRST = 10,   /* 2^10 ns: 1 microsecond */
  RUNQ_BUCKETS = 20, /* up to 2^28 ns: 0.27 seconds, and the larger ones */
  RUNQ_CACHE = 16,   /* a power of two */
};
enum runq_program { RUNQ_SWITCH, RUNQ_PROGRAMS };

/* values: array by shard and slot; a shard is one CPU. */
struct runq_cgroup {
  __u64 wait_ns;
  __u64 preemptions;
  __u64 waits[RUNQ_BUCKETS];
};

/* cpus: array by CPU. */
struct runq_cpu {
  __u64 runs[RUNQ_PROGRAMS];
  __u64 unplaced; /* events of cgroups for which there was no slot */
  struct collect_rate rate;
  struct {
    __u64 cgroup;
    __u32 slot;
    __u32 generation;
  } cache[RUNQ_CACHE]; /* what cgroup_slots said, by the id's last bits */
};

COLLECT_SIZE(runq_cgroup, 176);
COLLECT_SIZE(runq_cpu, 296);

#endif
