/* The maps of the policy data path, and the settings that the loader fills in. Sizes here are the smallest; the loader
 * sets those of the configuration before it loads. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "ebpf/abi/policy.h"

#define HASH(map_name, key_type, value_type, map_type, how) \
  struct {                                                        \
    __uint(type, map_type);                                       \
    __uint(max_entries, 1024);                                    \
    __uint(map_flags, how);                                       \
    __type(key, key_type);                                        \
    __type(value, value_type);                                    \
  } map_name SEC(".maps")

#define ARRAY(map_name, value_type, map_type, entries) \
  struct {                                             \
    __uint(type, map_type);                            \
    __uint(max_entries, entries);                      \
    __type(key, __u32);                                \
    __type(value, value_type);                         \
  } map_name SEC(".maps")

HASH(endpoints, __u32, struct policy_endpoint, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(addresses, struct policy_address, struct policy_location, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(prefixes, struct policy_prefix, struct policy_location, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC);
HASH(peers, struct policy_peer_key, struct policy_row, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(ports, struct policy_port_key, struct policy_row, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(port_ranges, struct policy_port_range_key, struct policy_row, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC);
HASH(words, struct policy_word_key, __u64, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(rules, struct policy_rule_key, struct policy_rule, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
HASH(translations, struct policy_connection_key, struct policy_translation, BPF_MAP_TYPE_LRU_HASH, 0);
HASH(fragments, struct policy_fragment_key, struct policy_fragment, BPF_MAP_TYPE_LRU_HASH, 0);
HASH(deny, struct policy_prefix, __u32, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC);
HASH(own, struct policy_address, __u32, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
ARRAY(budgets, struct policy_budget, BPF_MAP_TYPE_ARRAY, POLICY_BUDGETS);
ARRAY(seeds, struct policy_seeds, BPF_MAP_TYPE_ARRAY, 1); /* for the next loader; the programs read connection_seeds */
ARRAY(tickets, struct policy_ticket, BPF_MAP_TYPE_ARRAY, POLICY_TICKETS);
ARRAY(ticket_counter, __u32, BPF_MAP_TYPE_PERCPU_ARRAY, 1);
ARRAY(drops, struct policy_count, BPF_MAP_TYPE_PERCPU_ARRAY, 2 * POLICY_REASONS);
ARRAY(event_state, struct policy_event_state, BPF_MAP_TYPE_PERCPU_ARRAY, 1);

/* As a variable it costs a load, as an array's element a look-up. */
volatile struct policy_publication publication SEC(".data.publication") = {};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 256); /* policy_buckets(): `connection_buckets` says it too */
  __uint(map_flags, BPF_F_MMAPABLE);
  __type(key, __u32);
  __type(value, struct policy_bucket);
} connections SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} events SEC(".maps");

const volatile __u32 mark_mask = 0x3fff0000; /* POLICY_TICKETS values beside 0 */
const volatile __u32 mark_shift = 16;
const volatile __u64 tick_ns = 0; /* of the kernel's jiffies; 0: read the exact clock, some 35 ns a packet */
const volatile struct policy_seeds connection_seeds = {};
const volatile __u32 connection_buckets = 256;
const volatile __u64 connection_interval_ns = 20000; /* one new connection of an endpoint each */
const volatile __u64 connection_burst_ns = 20000ULL * 65536;
const volatile __u64 event_interval_ns = 1000000; /* one event each, on each CPU */
const volatile __u64 event_burst_ns = 1000000ULL * 1000;
const volatile __u64 tcp_idle_ns = 86400ULL * 1000000000; /* established */
const volatile __u64 other_idle_ns = 180ULL * 1000000000; /* replied, not TCP */
const volatile __u64 short_idle_ns = 60ULL * 1000000000;  /* no reply yet, or closing */

/* Nanoseconds from some point on, exact to a tick: a load from memory, where any clock is a call. Never compared with a
 * clock of user space. */
static __always_inline __u64 clock_now(void) { return tick_ns ? bpf_jiffies64() * tick_ns : bpf_ktime_get_ns(); }

/* Even and unchanged: what was read between two calls are whole elements. */
static __always_inline __u32 publication_sequence(void) { return publication.sequence; }
enum { MOST_READINGS = 4 }; /* while elements are replaced: until two of them agree */

/* A token bucket in one word: `*full` is when it will be full again, which 0 is at any time, also right after boot. Races
 * lose or grant single tokens. */
static __always_inline int take_token(__u64 *full, __u64 now, __u64 interval, __u64 burst) {
  const __u64 since = *full;
  const __u64 next = (since > now ? since : now) + interval;
  if (next > now + burst) return 0;
  *full = next;
  return 1;
}
