/* From a set, an identity and a port to the rule that decides: the first bit of peer row AND port row. Constant time:
 * a handful of look-ups however many rules there are; a second word of a row is read only when the first ones do not
 * meet. */
#pragma once

#include "ebpf/programs/policy/packet.h"

/* By a de Bruijn sequence: BPF has no instruction for it, and branches would multiply the verifier's work. */
static const __u8 bit_of_hash[64] = {
    0, 1, 48, 2, 57, 49, 28, 3, 61, 58, 50, 42, 38, 29, 17, 4,
    62, 55, 59, 36, 53, 51, 43, 22, 45, 39, 33, 30, 24, 18, 12, 5,
    63, 47, 56, 27, 60, 41, 37, 16, 54, 35, 52, 21, 44, 32, 23, 11,
    46, 26, 40, 15, 34, 20, 31, 10, 25, 14, 19, 9, 13, 8, 7, 6,
};

static __always_inline __u32 lowest_bit(__u64 word) {
  return bit_of_hash[((word & -word) * 0x03f79d71b4cb0a89ULL) >> 58] & 63;
}

static __always_inline const struct policy_row *peer_row(__u32 set, __u32 identity) {
  struct policy_peer_key key = {.set = set, .identity = identity};
  const struct policy_row *row = bpf_map_lookup_elem(&peers, &key);
  if (row) return row;
  key.identity = identity & POLICY_POD_BIT ? POLICY_ANY_POD : POLICY_ANY_OTHER;
  return bpf_map_lookup_elem(&peers, &key);
}

static __always_inline const struct policy_row *port_row(__u32 set, __u32 set_flags, __u8 protocol, __u16 port) {
  struct policy_port_key key = {.set = set, .kind = 2, .protocol = protocol, .port = port};
  const int has_port = protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP || protocol == PROTOCOL_SCTP;
  if (has_port && set_flags & POLICY_SET_PORTS) {
    const struct policy_row *row = bpf_map_lookup_elem(&ports, &key);
    if (row) return row;
  }
  if (has_port && set_flags & POLICY_SET_RANGES) {
    const struct policy_port_range_key range = {
        .length = 56, .set_be = bpf_htonl(set), .protocol = protocol, .port_be = {(__u8)(port >> 8), (__u8)port}};
    const struct policy_row *row = bpf_map_lookup_elem(&port_ranges, &range);
    if (row) return row;
  }
  key.port = 0;
  if (set_flags & POLICY_SET_PROTOCOLS) {
    key.kind = 1;
    const struct policy_row *row = bpf_map_lookup_elem(&ports, &key);
    if (row) return row;
  }
  key.kind = 0;
  key.protocol = 0;
  return bpf_map_lookup_elem(&ports, &key);
}

static __always_inline __u64 row_word(const struct policy_row *row, __u32 index) {
  if (row->first == index) return row->word;
  const struct policy_word_key key = {.row = row->row, .word = index};
  const __u64 *word = bpf_map_lookup_elem(&words, &key);
  return word ? *word : 0;
}

enum { VERDICT_RULE = 0xffff, VERDICT_ACCEPT = 1 << 16, VERDICT_PASS = 1 << 17 };
enum { MOST_STEPS = 64, MOST_SEARCHES = 5 };

/* Reads a rule. VERDICT_PASS: the search goes on at the rule in the lower bits. */
static __always_inline __u32 apply_rule(__u32 set, __u32 set_flags, __u32 number) {
  if (set_flags & POLICY_SET_ACCEPTS) return (number & VERDICT_RULE) | VERDICT_ACCEPT;
  const struct policy_rule_key key = {.set = set, .rule = number};
  const struct policy_rule *rule = bpf_map_lookup_elem(&rules, &key);
  if (!rule) return POLICY_NO_RULE; /* never for a published set */
  if (rule->decision == POLICY_PASS) return VERDICT_PASS | (rule->pass_to & VERDICT_RULE);
  return (number & VERDICT_RULE) | (rule->decision == POLICY_ACCEPT ? VERDICT_ACCEPT : 0);
}

/* Looks for the rule that decides, from rule `from` on, in at most MOST_STEPS words where both rows may have one.
 * VERDICT_PASS: not found yet, go on at the rule in the lower bits. A global function over scalars, which the verifier of
 * 5.10 walks once, on its own; `what`: set flags << 24 | protocol << 16 | port. */
__noinline __u32 policy_search(__u32 set, __u32 identity, __u32 what, __u32 from) {
  const __u32 none = (what >> 24) & POLICY_SET_DENY ? POLICY_NO_RULE : POLICY_NO_RULE | VERDICT_ACCEPT;
  const struct policy_row *peer = peer_row(set, identity);
  if (!peer) return none;
  const struct policy_row *port = port_row(set, what >> 24, (__u8)(what >> 16), (__u16)what);
  if (!port) return none;
  for (int step = 0; step < MOST_STEPS; step++) {
    const __u32 part = from >> 12;
    if (part >= POLICY_SUMMARY_WORDS) return none;
    const __u64 common = peer->summary[part] & port->summary[part] & (~0ULL << (from >> 6 & 63));
    if (!common) {
      from = (part + 1) << 12;
      continue;
    }
    const __u32 index = part << 6 | lowest_bit(common);
    const __u64 later = index == from >> 6 ? ~0ULL << (from & 63) : ~0ULL;
    const __u64 both = row_word(peer, index) & row_word(port, index) & later;
    if (!both) {
      from = (index + 1) << 6;
      continue;
    }
    const __u32 verdict = apply_rule(set, what >> 24, index << 6 | lowest_bit(both));
    if (!(verdict & VERDICT_PASS)) return verdict;
    from = verdict & VERDICT_RULE;
  }
  return VERDICT_PASS | (from & VERDICT_RULE);
}

/* The rule (or POLICY_NO_RULE) and, for acceptance, VERDICT_ACCEPT. Every word of a row is within MOST_SEARCHES. */
static __always_inline __u32 judge(__u32 set, __u32 set_flags, __u32 identity, __u8 protocol, __u16 port) {
  const __u32 what = set_flags << 24 | (__u32)protocol << 16 | port;
  __u32 verdict = VERDICT_PASS;
#pragma clang loop unroll(disable)
  for (int i = 0; i < MOST_SEARCHES; i++) {
    verdict = policy_search(set, identity, what, verdict & VERDICT_RULE);
    if (!(verdict & VERDICT_PASS)) return verdict;
  }
  return POLICY_NO_RULE;
}

static __always_inline __u32 read_identity(const struct policy_address *address, __u32 epoch) {
  const struct policy_location *location = bpf_map_lookup_elem(&addresses, address);
  if (!location) {
    struct policy_prefix key = {.length = 128, .address = *address};
    location = bpf_map_lookup_elem(&prefixes, &key);
    if (!location) return POLICY_WORLD;
  }
  return (__s32)(location->epoch - epoch) <= 0 ? location->identity : location->previous;
}

/* Which identity an address has in an endpoint's epoch. */
static __always_inline __u32 identity_of(const struct policy_address *address, __u32 epoch) {
  __u32 last = 0, identity = 0;
  for (int reading = 0; reading < MOST_READINGS; reading++) {
    const __u32 before = publication_sequence();
    identity = read_identity(address, epoch);
    if (identity == last || (!(before & 1) && before == publication_sequence())) break;
    last = identity;
  }
  return identity;
}
