/* What is told about a packet: counters always, an event for each new verdict as far as the rate allows. */
#pragma once

#include "ebpf/programs/policy/recent.h"

struct outcome {
  __u32 ifindex, set;
  __u32 source_identity, destination_identity;
  __u16 rule;
  __u8 reason;
  __u8 direction;
  __u8 flags; /* policy_event_flags */
};

static __always_inline void count(__u32 direction, __u32 reason, __u32 length) {
  const __u32 index = direction * POLICY_REASONS + (reason & (POLICY_REASONS - 1));
  struct policy_count *counter = bpf_map_lookup_elem(&drops, &index);
  if (!counter) return;
  counter->packets += 1;
  counter->bytes += length;
}

static __always_inline int is_drop(__u32 reason) { return reason >= POLICY_REASON_POLICY_DENIED; }

static __noinline int report(struct __sk_buff *skb, const struct packet *p, const struct outcome *o) {
  const __u32 zero = 0;
  struct policy_event_state *state = bpf_map_lookup_elem(&event_state, &zero);
  if (!state) return 0;
  if (!take_token(&state->tokens_ns, clock_now(), event_interval_ns, event_burst_ns)) {
    state->lost += 1;
    return 0;
  }
  struct policy_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) {
    state->lost += 1;
    return 0;
  }
  event->time_ns = bpf_ktime_get_ns();
  event->ifindex = o->ifindex;
  event->set = o->set;
  event->rule = o->rule;
  event->verdict = !is_drop(o->reason) ? POLICY_FORWARDED : o->flags & POLICY_EVENT_AUDIT ? POLICY_AUDITED : POLICY_DROPPED;
  event->reason = o->reason;
  event->direction = o->direction;
  event->protocol = p->protocol;
  event->tcp_flags = p->tcp_flags;
  event->flags = o->flags;
  event->source_port = p->source_port;
  event->destination_port = p->destination_port;
  event->source_identity = o->source_identity;
  event->destination_identity = o->destination_identity;
  event->length = skb->len;
  event->source = p->source;
  event->destination = p->destination;
  bpf_ringbuf_submit(event, 0);
  return 0;
}
