/* Connections, fragments and tickets: what is remembered between packets. */
#pragma once

#include "ebpf/programs/policy/endpoint.h"

static __always_inline void connection_key(struct policy_connection_key *key, __u32 scope, const struct packet *p, int to_endpoint) {
  const __u16 local = to_endpoint ? p->destination_port : p->source_port;
  __u16 remote = to_endpoint ? p->source_port : p->destination_port;
  if (p->protocol == PROTOCOL_ICMP || p->protocol == PROTOCOL_ICMPV6) remote = 0;
  const __u64 ports = pair_of(local, remote);
  *(__u64 *)(void *)key = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ports << 32 | scope : (__u64)scope << 32 | ports;
  *(__u32 *)(void *)&key->protocol = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? p->protocol : (__u32)p->protocol << 24;
  copy_address(&key->local, to_endpoint ? &p->destination : &p->source);
  copy_address(&key->remote, to_endpoint ? &p->source : &p->destination);
}

static __always_inline __u64 digest_of(const struct policy_connection_key *key) {
  return policy_connection_digest(key, connection_seeds.words);
}

/* By eight bytes at a time: keys and elements are aligned so. */
static __always_inline int same_connection(const struct policy_connection_key *a, const struct policy_connection_key *b) {
  const __u64 *left = (const __u64 *)(const void *)a, *right = (const __u64 *)(const void *)b;
  const __u64 different = (left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]) | (left[3] ^ right[3]) |
                          (left[4] ^ right[4]) | (((const __u32 *)left)[10] ^ ((const __u32 *)right)[10]);
  return !different;
}

/* `key` is aligned to eight bytes. */
static __always_inline struct policy_connection *find_connection(const struct policy_connection_key *key, __u64 digest) {
  struct policy_connection *connection = bpf_map_lookup_elem(&connections, &digest);
  return connection && same_connection(&connection->key, key) ? connection : 0;
}

static __always_inline void forget_connection(const struct policy_connection_key *key) {
  const __u64 digest = digest_of(key);
  bpf_map_delete_elem(&connections, &digest);
}

static __always_inline int is_idle(const struct policy_connection *connection, __u8 protocol, __u64 now) {
  const __u64 seen = *(const volatile __u64 *)&connection->seen_ns;
  __u64 limit = short_idle_ns;
  if (connection->state == POLICY_CONNECTION_REPLIED) limit = protocol == PROTOCOL_TCP ? tcp_idle_ns : other_idle_ns;
  return now > seen && now - seen > limit;
}

/* At most one write a second: the entry's cache line stays shared between CPUs. */
static __always_inline void touch(struct policy_connection *connection, __u64 now) {
  if (now - connection->seen_ns > 1000000000ULL) connection->seen_ns = now;
}

static __always_inline void follow_tcp(struct policy_connection *connection, const struct packet *p, int reply) {
  if (p->protocol == PROTOCOL_TCP && p->tcp_flags & (TCP_FIN | TCP_RST)) {
    if (connection->state != POLICY_CONNECTION_CLOSING) connection->state = POLICY_CONNECTION_CLOSING;
  } else if (reply && connection->state == POLICY_CONNECTION_NEW) {
    connection->state = POLICY_CONNECTION_REPLIED;
  }
}

static __always_inline int within_budget(__u32 scope, __u64 now) {
  const __u32 index = scope & (POLICY_BUDGETS - 1);
  struct policy_budget *budget = bpf_map_lookup_elem(&budgets, &index);
  return budget && take_token(&budget->tokens_ns, now, connection_interval_ns, connection_burst_ns);
}

/* The ports of a fragmented packet are known from its first fragment; a later one without is dropped. */
static __noinline int resolve_fragment(struct packet *p, __u32 scope) {
  struct policy_fragment_key key = {
      .scope = scope, .id = p->fragment_id, .source = p->source, .destination = p->destination};
  if (p->flags & PACKET_V4) key.protocol = p->protocol;
  const __u64 now = clock_now();
  if (p->flags & PACKET_FIRST_FRAGMENT) {
    const struct policy_fragment value = {
        .seen_ns = now, .source_port = p->source_port, .destination_port = p->destination_port, .protocol = p->protocol};
    bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
    return 0;
  }
  const struct policy_fragment *first = bpf_map_lookup_elem(&fragments, &key);
  if (!first || now - first->seen_ns > 30ULL * 1000000000) return POLICY_REASON_FRAGMENT_WITHOUT_FIRST;
  p->source_port = first->source_port;
  p->destination_port = first->destination_port;
  p->protocol = first->protocol;
  return 0;
}

static __always_inline __u32 ticket_of(const struct __sk_buff *skb) { return (skb->mark & mark_mask) >> mark_shift; }

static __always_inline void clear_ticket(struct __sk_buff *skb) { skb->mark = skb->mark & ~mark_mask; }

/* Marks the packet for the judgement behind address translation. Tickets of one CPU are used in turn; a packet meets its
 * judge in the same pass through the stack, so that 256 in flight are plenty. */
static __always_inline void issue_ticket(struct __sk_buff *skb, const struct policy_connection_key *key, __u64 now) {
  const __u32 zero = 0;
  __u32 *counter = bpf_map_lookup_elem(&ticket_counter, &zero);
  if (!counter) return;
  const __u32 most = (mark_mask >> mark_shift) < POLICY_TICKETS - 1 ? mark_mask >> mark_shift : POLICY_TICKETS - 1;
  __u32 index = (((__u32)bpf_get_smp_processor_id() << 8 | (*counter & 255)) % most) + 1;
  *counter += 1;
  struct policy_ticket *ticket = bpf_map_lookup_elem(&tickets, &index);
  if (!ticket) return;
  ticket->issued_ns = now;
  ticket->ifindex = skb->ifindex;
  ticket->connection = *key;
  skb->mark = (skb->mark & ~mark_mask) | (index << mark_shift & mark_mask);
}
