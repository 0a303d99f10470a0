/* Measuring has a limit: what happens often costs those who do it most. */
#pragma once

#include "ebpf/programs/collect/collect.h"

/* How many events this one counts for; 0: it is not looked at. Of a CPU's events in a tick of the kernel's clock the first
 * `each` count for themselves, then one of each COLLECT_OF for all of them. Which one, changes from block to block, so
 * that events which take turns get their share. Sums over many are right, each block at the end of a tick is off by less
 * than itself. */
static __always_inline __u32 weight_of_next(struct collect_rate *rate, __u32 each) {
  const __u64 tick = bpf_jiffies64();
  if (rate->tick != tick) {
    rate->tick = tick;
    rate->seen = 0;
  }
  const __u32 seen = rate->seen++;
  if (seen < each) return 1;
  const __u32 block = (__u32)tick * 29 + seen / COLLECT_OF;
  const __u32 chosen = block * 0x9e3779b1 / (0xffffffff / COLLECT_OF + 1); /* the golden ratio spreads them */
  return seen % COLLECT_OF == chosen ? COLLECT_OF : 0;
}
