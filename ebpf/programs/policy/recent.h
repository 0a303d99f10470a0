/* Who opens a connection and what the rules say, out of what this CPU found lately: most new connections come from
 * somebody who has opened one before, to the same port. What takes look-ups in three maps and more is then one comparison. */
#pragma once

#include "ebpf/programs/policy/judge.h"

enum { RECENT_BITS = 9 };

/* Good as long as nothing is published: `sequence` is that of the publication, under which a question has one answer.
 * Only the tc programs use it, which run with softirqs off and do not nest. */
struct recent {
  __u64 remote[2]; /* policy_address */
  __u64 ground;
  __u32 what;
  __u32 sequence;
  __u64 answer; /* 0: nothing is here */
};
ARRAY(recents, struct recent, BPF_MAP_TYPE_PERCPU_ARRAY, 1 << RECENT_BITS);

enum { ONLY_PODS = 1u << 31 }; /* in `what`: others are judged behind address translation */

static __always_inline __u64 answer_of(const struct policy_address *remote, __u64 ground, __u32 what, __u32 identity) {
  const __u32 set = (__u32)(ground >> 32);
  if (!identity) identity = identity_of(remote, (__u32)ground);
  __u32 verdict = POLICY_NO_RULE | VERDICT_ACCEPT;
  if (set && (identity & POLICY_POD_BIT || !(what & ONLY_PODS)))
    verdict = judge(set, what >> 24 & 0x7f, identity, (__u8)(what >> 16), (__u16)what);
  return (__u64)identity << 32 | verdict;
}

/* The identity of the remote end << 32 | what judge() says of it. `ground` is set << 32 | epoch of the endpoint; set 0: only
 * the identity is asked for. `what` is ONLY_PODS | set flags << 24 | protocol << 16 | port; `identity`, if not 0, is known.
 * A global function over scalars, which the verifier walks once, on its own. */
__noinline __u64 policy_judge_opening(__u64 front, __u64 back, __u64 ground, __u32 what, __u32 identity) {
  const __u32 sequence = publication_sequence();
  const __u32 index = (__u32)(((front ^ back ^ (__u64)what << 8 ^ ground >> 32) * 0x9fb21c651e98df25ULL) >> (64 - RECENT_BITS));
  struct recent *recent = identity ? 0 : bpf_map_lookup_elem(&recents, &index);
  if (recent) {
    const __u64 other = (recent->remote[0] ^ front) | (recent->remote[1] ^ back) | (recent->ground ^ ground) |
                        (recent->what ^ what) | (recent->sequence ^ sequence);
    if (!other && recent->answer) return recent->answer;
  }
  struct recent found = {.remote = {front, back}, .ground = ground, .what = what, .sequence = sequence};
  found.answer = answer_of((const struct policy_address *)(const void *)found.remote, ground, what, identity);
  if (recent && !(sequence & 1) && sequence == publication_sequence()) *recent = found;
  return found.answer;
}
