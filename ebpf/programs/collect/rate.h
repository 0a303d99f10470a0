/* Measuring has a limit: what happens often costs those who do it most. */
#pragma once

#include "ebpf/programs/collect/collect.h"

/* Of a CPU's events in a tick of the kernel's clock the first `each` are measured one by one. From then on chance says how
 * many pass by until the next one, which counts for them too, so that events which take turns get their share. What passes
 * by costs nearly nothing: what comes behind is to be in a function of its own, for its registers need not be saved then. */
static __always_inline int passes_by(struct collect_rate *rate) {
  if (!rate->skip || rate->tick != bpf_jiffies64()) return 0;
  rate->skip -= 1;
  return 1;
}

/* How many events this one counts for, which does not pass by. */
static __always_inline __u32 weight_of_this(struct collect_rate *rate, __u32 each) {
  const __u64 tick = bpf_jiffies64();
  const __u32 weight = 1 + rate->skipped - rate->skip;
  rate->seen = rate->tick == tick ? rate->seen + 1 : 1;
  rate->tick = tick;
  const __u32 skip = rate->seen < each ? 0 : bpf_get_prandom_u32() % (2 * COLLECT_OF - 1);
  rate->skip = skip;
  rate->skipped = skip;
  return weight;
}
