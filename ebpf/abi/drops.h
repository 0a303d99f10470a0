/* Dropped packets: what ebpf/programs/drops.bpf.c and ebpf/collectors/drops.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_DROPS_H
#define OMNITIDE_EBPF_ABI_DROPS_H

#include "ebpf/abi/collect.h"

enum drops_limits { DROPS_NAME = 16, /* IFNAMSIZ */ DROPS_ROWS = 1024 };
enum drops_program { DROPS_FREE, DROPS_PROGRAMS };
enum drops_namespace { DROPS_NO_DEVICE, DROPS_HOST, DROPS_ELSEWHERE };

/* values: per-CPU hash, value __u64 packets. */
struct drops_key {
  char device[DROPS_NAME]; /* empty: the packet had none (any more) */
  __u32 reason;            /* enum skb_drop_reason of the running kernel; the subsystem is in the upper half */
  __u32 place;             /* drops_namespace: whether the device is in the agent's network namespace */
};

/* cpus: array by CPU. */
struct drops_cpu {
  __u64 runs[DROPS_PROGRAMS];
  __u64 lost; /* packets for which `values` had no room */
};

COLLECT_SIZE(drops_key, 24);

#endif
