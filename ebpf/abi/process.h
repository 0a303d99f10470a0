/* Processes: what ebpf/programs/process.bpf.c and ebpf/collectors/process.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_PROCESS_H
#define OMNITIDE_EBPF_ABI_PROCESS_H

#include "ebpf/abi/collect.h"

enum process_limits { PROCESS_SIGNALS = 33 /* 0: none; 1 to 31; 32: real-time signals */ };
enum process_program { PROCESS_FORK, PROCESS_EXEC, PROCESS_EXIT, PROCESS_FAULT, PROCESS_PROGRAMS };

/* values: array by shard and slot. */
struct process_cgroup {
  __u64 forks;
  __u64 execs;
  __u64 oom_kills;
  __u64 major_faults;
  __u64 exits[PROCESS_SIGNALS];
};

/* cpus: array by CPU. */
struct process_cpu {
  __u64 runs[PROCESS_PROGRAMS];
  __u64 unplaced;
};

COLLECT_SIZE(process_cgroup, 296);

#endif
