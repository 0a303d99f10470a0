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

static __always_inline __u64 hash_of(const struct policy_connection_key *key) {
  return policy_connection_hash(key, connection_seeds.words);
}

/* By eight bytes at a time: keys and elements are aligned so. */
static __always_inline int same_connection(const struct policy_connection_key *a, const struct policy_connection_key *b) {
  const __u64 *left = (const __u64 *)(const void *)a, *right = (const __u64 *)(const void *)b;
  const __u64 different = (left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]) | (left[3] ^ right[3]) |
                          (left[4] ^ right[4]) | (((const __u32 *)left)[10] ^ ((const __u32 *)right)[10]);
  return !different;
}

static __always_inline __u64 word_of(const struct policy_connection *connection) {
  __u64 word;
  __builtin_memcpy(&word, connection, sizeof(word));
  return word;
}

enum { AHEAD = 8 }; /* how much later than `now` a way may be seen by another CPU, in units of policy_seen() */

enum { MOST_TWINS = 2 }; /* ways of a bucket with one tag that are looked at */

/* Where a connection is, and what its state was when it was found. */
struct place {
  struct policy_bucket *bucket;
  __u32 way;
  struct policy_connection connection;
};

static __always_inline __u64 read_state(const struct policy_bucket *bucket, __u32 way) {
  return *(const volatile __u64 *)&bucket->states[way & (POLICY_WAYS - 1)];
}

static __always_inline __u32 tag_in(__u64 word) {
  return (__u32)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word >> 40 : word & 0xffffff);
}

/* The way that a connection takes when it may choose: two that come at once seldom choose the same. */
static __always_inline __u32 first_way(__u64 hash) { return (__u32)(hash >> 24) & (POLICY_WAYS - 1); }

static __always_inline int is_in(struct place *place, const struct policy_connection_key *key, __u32 tag, __u32 way) {
  const __u64 word = read_state(place->bucket, way);
  if (tag_in(word) != tag || !same_connection(&place->bucket->keys[way & (POLICY_WAYS - 1)].key, key)) return 0;
  __builtin_memcpy(&place->connection, &word, sizeof(word));
  place->way = way & (POLICY_WAYS - 1);
  return 1;
}

/* The first way from `from` on with the tag. A global function over scalars: the verifier walks it once, on its own. */
__noinline __u32 policy_way_of_tag(__u32 index, __u32 tag, __u32 from) {
  const struct policy_bucket *bucket = bpf_map_lookup_elem(&connections, &index);
  if (!bucket) return POLICY_WAYS; /* cannot be */
#pragma clang loop unroll(full)
  for (__u32 way = 0; way < POLICY_WAYS; way++)
    if (way >= from && tag_in(read_state(bucket, way)) == tag) return way;
  return POLICY_WAYS;
}

/* `key` is aligned to eight bytes. */
static __always_inline int find_connection(const struct policy_connection_key *key, __u64 hash, struct place *place) {
  const __u32 index = policy_bucket_of(hash, connection_buckets);
  __builtin_memset(&place->connection, 0, sizeof(place->connection));
  place->way = 0;
  place->bucket = bpf_map_lookup_elem(&connections, &index);
  if (!place->bucket) return 0; /* cannot be */
  const __u32 tag = policy_tag_of(hash);
  if (is_in(place, key, tag, first_way(hash))) return 1;
  __u32 from = 0;
#pragma clang loop unroll(disable)
  for (int i = 0; i < MOST_TWINS; i++) {
    const __u32 way = policy_way_of_tag(index, tag, from);
    if (way >= POLICY_WAYS) return 0;
    if (is_in(place, key, tag, way)) return 1;
    from = way + 1;
  }
  return 0;
}

static __always_inline void write_state(struct place *place) {
  *(volatile __u64 *)&place->bucket->states[place->way & (POLICY_WAYS - 1)] = word_of(&place->connection);
}

static __always_inline __u32 seen_of(const struct place *place) {
  return *(const volatile __u32 *)&place->bucket->seen[place->way & (POLICY_WAYS - 1)];
}

/* All of that key: two packets at once may have entered it twice. */
static __noinline int forget_connection(const struct policy_connection_key *key) {
  struct place place;
#pragma clang loop unroll(disable)
  for (int i = 0; i < POLICY_WAYS; i++) {
    if (!find_connection(key, hash_of(key), &place)) return 0;
    *(volatile __u64 *)&place.bucket->states[place.way & (POLICY_WAYS - 1)] = 0;
  }
  return 0;
}

static __always_inline int is_old(__u32 state, __u32 tcp, __u32 age) {
  if (state != POLICY_CONNECTION_REPLIED) return age > policy_seen(short_idle_ns);
  return age > policy_seen(tcp ? tcp_idle_ns : other_idle_ns);
}

/* The packets of two CPUs may lie a tick apart: what was seen after `now` is of no age. */
static __always_inline __u32 age_of(__u32 seen, __u32 now) { return (__s32)(now - seen) > 0 ? now - seen : 0; }

static __always_inline int is_idle(const struct place *place, __u32 now) {
  return is_old(place->connection.state, place->connection.tcp, age_of(seen_of(place), now));
}

/* At most one write a second: the cache line stays shared between CPUs. */
static __always_inline void touch(struct place *place, __u32 now) {
  if (age_of(seen_of(place), now) >= POLICY_SEEN_SECOND) place->bucket->seen[place->way & (POLICY_WAYS - 1)] = now;
}

static __always_inline void follow_tcp(struct policy_connection *connection, const struct packet *p, int reply) {
  if (p->protocol == PROTOCOL_TCP && p->tcp_flags & (TCP_FIN | TCP_RST)) {
    connection->state = POLICY_CONNECTION_CLOSING;
  } else if (reply && connection->state == POLICY_CONNECTION_NEW) {
    connection->state = POLICY_CONNECTION_REPLIED;
  }
}

/* All bits if x is negative, else none. The compiler does not see that there are two cases only: it would branch. */
static __always_inline __u64 if_negative(__u64 x) {
  x = (__u64)((__s64)x >> 63);
  asm("" : "+r"(x));
  return x;
}

/* All bits if so. Read anew each time: what eight ways are would not fit into the registers. */
static __always_inline __u64 is_of_scope(const struct policy_bucket *bucket, __u32 way, __u32 scope) {
  return if_negative((__u64)(*(const volatile __u32 *)&bucket->scopes[way] ^ scope) - 1);
}

/* The way of a full bucket that is used anew: one that is idle, else the one that was not used longest; of an endpoint
 * that has its share of the bucket, only its own. Without branches, and a global function over scalars: the verifier walks
 * it once, on one way. In a full table every new connection comes here, so that each operation counts eight times. */
__noinline __u32 policy_way_to_clear(__u32 index, __u32 scope, __u32 now) {
  enum { SHARE = POLICY_WAYS / 4, WAY_BITS = 3, OWN_BIT = 40, IDLE_BIT = 41 };
  const __u64 brief = policy_seen(short_idle_ns), more = policy_seen(other_idle_ns) - brief;
  const __u64 most = policy_seen(tcp_idle_ns) - brief - more;
  const struct policy_bucket *bucket = bpf_map_lookup_elem(&connections, &index);
  if (!bucket) return 0; /* cannot be */
  __u64 own = 0, first = 0;
#pragma clang loop unroll(full)
  for (__u32 way = 0; way < POLICY_WAYS; way++) own -= is_of_scope(bucket, way, scope);
  const __u64 preferred = own >= SHARE ? 1ULL << OWN_BIT : 0;
#pragma clang loop unroll(full)
  for (__u32 way = 0; way < POLICY_WAYS; way++) {
    const __u64 word = read_state(bucket, way);
    struct policy_connection c;
    __builtin_memcpy(&c, &word, sizeof(word));
    const __u64 limit = brief + (if_negative((c.state ^ POLICY_CONNECTION_REPLIED) - 1ULL) & (more + (most & -(__u64)c.tcp)));
    const __u64 age = now + AHEAD - bucket->seen[way]; /* what was seen a tick after `now` is not old */
    const __u64 rank = (limit + AHEAD - age) >> 63 << IDLE_BIT | (is_of_scope(bucket, way, scope) & preferred) | age << WAY_BITS | way;
    first += (rank - first) & ~if_negative(rank - first);
  }
  return (__u32)first & (POLICY_WAYS - 1);
}

static __always_inline void enter_connection(struct policy_bucket *bucket, const struct policy_connection_key *key, __u64 hash,
                                             const struct policy_connection *connection, __u32 now) {
  __u32 way = first_way(hash);
  if (read_state(bucket, way)) {
    const __u32 index = policy_bucket_of(hash, connection_buckets);
    way = policy_way_of_tag(index, 0, 0);
    if (way >= POLICY_WAYS) way = policy_way_to_clear(index, key->scope, now);
  }
  way &= POLICY_WAYS - 1;
  *(volatile __u64 *)&bucket->states[way] = 0;
  const __u64 *from = (const __u64 *)(const void *)key;
  volatile __u64 *to = (volatile __u64 *)(void *)&bucket->keys[way];
  for (int i = 0; i < 5; i++) to[i] = from[i];
  *(volatile __u32 *)(void *)&to[5] = ((const __u32 *)(const void *)key)[10];
  bucket->scopes[way] = key->scope;
  bucket->seen[way] = now;
  *(volatile __u64 *)&bucket->states[way] = word_of(connection);
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
