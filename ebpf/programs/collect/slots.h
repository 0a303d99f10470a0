/* Which cgroup, and which row of an array is its. */
#pragma once

#include "ebpf/programs/collect/collect.h"

HASH(cgroup_slots, BPF_MAP_TYPE_HASH, __u64, __u32, 64);
SHARED_ARRAY(cgroup_state, struct collect_state);

struct {
  __uint(type, BPF_MAP_TYPE_QUEUE);
  __uint(max_entries, 64);
  __type(value, __u32);
} cgroup_free SEC(".maps");

const volatile __u32 slots = 2;
const volatile __u32 shards = 1; /* a power of two */

static __always_inline __u64 cgroup_of_task(const struct task_struct *task) { return task->cgroups->dfl_cgrp->kn->id; }

/* The socket has a cgroup only if it is a full one: neither of a connection that is half open nor of one in TIME_WAIT. */
static __always_inline __u64 cgroup_of_socket(const struct sock *sk) {
  if (bpf_core_field_exists(((struct sock *)0)->sk_cgrp_data.cgroup))
    return BPF_CORE_READ(sk, sk_cgrp_data.cgroup, kn, id);
  /* Before Linux 5.15 (8520e224f547) one word is either this pointer, or, with its lowest bit set, what version 1 wants. */
  const __u64 word = BPF_CORE_READ((const struct sock___before_5_15 *)sk, sk_cgrp_data.val);
  if (word & 1) return 0;
  return BPF_CORE_READ((const struct cgroup *)(word & ~3ULL), kn, id);
}

static __always_inline struct collect_state *slot_state(void) {
  const __u32 zero = 0;
  return bpf_map_lookup_elem(&cgroup_state, &zero);
}

/* A slot for a cgroup that has none. `unplaced` counts when there is none left. */
static __noinline __u32 take_slot(__u64 cgroup, __u64 *unplaced) {
  struct collect_state *state = slot_state();
  __u32 slot = 0;
  if (!state || !unplaced) return COLLECT_OTHER;
  if (state->full || bpf_map_pop_elem(&cgroup_free, &slot)) {
    state->full = 1;
    ADD(*unplaced, 1);
    return COLLECT_OTHER;
  }
  if (bpf_map_update_elem(&cgroup_slots, &cgroup, &slot, BPF_NOEXIST) == 0) return slot;
  (void)bpf_map_push_elem(&cgroup_free, &slot, BPF_ANY);
  const __u32 *other = bpf_map_lookup_elem(&cgroup_slots, &cgroup); /* another CPU was first */
  if (other) return *other;
  ADD(*unplaced, 1);
  return COLLECT_OTHER;
}

static __always_inline __u32 slot_of(__u64 cgroup, __u64 *unplaced) {
  if (!cgroup) return COLLECT_NONE;
  const __u32 *slot = bpf_map_lookup_elem(&cgroup_slots, &cgroup);
  return slot ? *slot : take_slot(cgroup, unplaced);
}

static __always_inline __u32 row_of(__u32 slot) {
  return (bpf_get_smp_processor_id() & (shards - 1)) * slots + slot;
}
