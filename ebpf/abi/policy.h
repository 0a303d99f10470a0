/* The policy data path: what the programs of ebpf/programs/policy.bpf.c and ebpf/enforcement share, map by map.
 * docs/adr/0006-policy-data-path.md says why it is so. All addresses are sixteen bytes in network order, IPv4 as
 * ::ffff:a.b.c.d; ports are in host order unless their name says otherwise. No field is ever changed in place except
 * counters, token buckets and what the programs remember of packets. */
#ifndef OMNITIDE_EBPF_ABI_POLICY_H
#define OMNITIDE_EBPF_ABI_POLICY_H

#include <linux/types.h>

/* Part of the name of the folder of pins. Raised whenever a struct or a map's meaning below changes. */
#define POLICY_ABI 3

enum policy_limits {
  POLICY_SUMMARY_WORDS = 4,   /* 64-bit words of a row's summary */
  POLICY_ROW_WORDS = 256,     /* 64-bit words of a row: 16384 rules a set */
  POLICY_TICKETS = 16384,     /* a power of two */
  POLICY_BUDGETS = 4096,      /* a power of two */
  POLICY_REASONS = 64,
  POLICY_SEEDS = 12,
};

enum policy_identity {
  POLICY_WORLD = 1,
  POLICY_ANY_POD = 0xfffffffe,
  POLICY_ANY_OTHER = 0xffffffff,
};
#define POLICY_POD_BIT 0x80000000u

struct policy_address {
  union {
    __u8 bytes[16];
    __u32 words[4]; /* so that it is copied by words */
  };
};

/* endpoints: hash, key __u32 ifindex. Read once a packet; replacing the element publishes a policy. An element that is
 * recycled while it is read shows two different versions, and is read again. */
enum policy_endpoint_flags {
  POLICY_POD = 1 << 0,              /* a pod's device: all packets are to or from the pod */
  POLICY_HOST = 1 << 1,             /* an uplink under HostPolicy */
  POLICY_AUDIT = 1 << 2,            /* judge and report, drop nothing */
  POLICY_CLOSED = 1 << 3,           /* not judged yet: drop everything but ARP and neighbour discovery */
  POLICY_KEEP_ESTABLISHED = 1 << 4, /* a connection keeps the verdict of its first packet */
  POLICY_ANY_SOURCE = 1 << 5,       /* no check of source addresses */
  POLICY_NO_L2 = 1 << 6,            /* packets begin with the IP header (tun, WireGuard) */
  POLICY_BRIDGE = 1 << 7,           /* a bridge: its packets meet the device of a pod next and keep their tickets */
};
enum policy_set_flags {
  POLICY_SET_DENY = 1 << 0,       /* when no rule decides: deny, else accept */
  POLICY_SET_PORTS = 1 << 1,      /* has rows for single ports */
  POLICY_SET_RANGES = 1 << 2,     /* has rows in port_ranges */
  POLICY_SET_PROTOCOLS = 1 << 3,  /* has rows for whole protocols */
  POLICY_SET_ACCEPTS = 1 << 4,    /* every rule of it accepts: which one decides is all there is to know */
};
struct policy_endpoint {
  __u64 version;
  __u32 id;       /* scope of its connections: the ifindex of a pod's device, 0 for the host */
  __u32 epoch;    /* raised by each publication that may change a verdict */
  __u32 identity; /* a pod's own */
  __u32 flags;
  __u32 ingress_set; /* 0: everything is allowed */
  __u32 egress_set;
  __u32 ingress_flags; /* policy_set_flags */
  __u32 egress_flags;
  struct policy_address addresses[2]; /* IPv4, IPv6; all zero: none */
  __u64 version_end;
};

/* publication: a variable in a section of its own; only enforcement writes it. `sequence` is odd while elements of endpoints or
 * addresses are replaced or removed. Replacing an element of a hash is not atomic for those who look it up: in a crowded
 * bucket they may miss the old and the new one, and the old one's memory may serve another key while it is read
 * (htab_map_update_elem() in kernel/bpf/hashtab.c). Whoever reads the same even number before and after has seen whole
 * elements; otherwise look up again until two answers agree. All other maps of the policy need no such care: their
 * elements are never replaced, and removed only when no packet can look for them any more. */
struct policy_publication {
  __u32 sequence;
  __u32 reserved;
};

/* addresses: hash, key policy_address: single addresses. prefixes: LPM trie, key policy_prefix: the rest, with ::/0 and 0.0.0.0/0 always.
 * An endpoint whose epoch is below `epoch` still sees `previous`. Both 0 (only `previous` may be): as if absent. */
struct policy_prefix {
  __u32 length;
  struct policy_address address;
};
struct policy_location {
  __u32 identity;
  __u32 previous;
  __u32 epoch;
};

/* A set of rules: the words that are not zero. Bit w of `summary` says that word w is not zero; the lowest of them is
 * `word`; the others, if any, are in `words` under (row, w). */
struct policy_row {
  __u64 summary[POLICY_SUMMARY_WORDS];
  __u64 word;
  __u32 row; /* 0: there are no others */
  __u16 first; /* index of `word` */
  __u16 reserved;
};

/* peers: hash. */
struct policy_peer_key {
  __u32 set;
  __u32 identity;
};
/* ports: hash. kind 2: one port; kind 1: the whole protocol (port 0); kind 0: anything (protocol and port 0). */
struct policy_port_key {
  __u32 set;
  __u8 kind;
  __u8 protocol;
  __u16 port;
};
/* port_ranges: LPM trie; length counts from `set`: 40 bits and those of the port, network order. */
struct policy_port_range_key {
  __u32 length;
  __u32 set_be;
  __u8 protocol;
  __u8 port_be[2];
  __u8 reserved;
};
/* words: hash, value __u64. */
struct policy_word_key {
  __u32 row;
  __u32 word;
};
/* rules: hash. */
struct policy_rule_key {
  __u32 set;
  __u32 rule;
};
#define POLICY_NO_RULE 0xffff /* the default of the set decided */
enum policy_decision { POLICY_ACCEPT = 0, POLICY_DENY = 1, POLICY_PASS = 2 };
struct policy_rule {
  __u32 decision;
  __u32 pass_to;
};

/* A connection, seen from the endpoint, whatever the packet's direction; ICMP echo has its identifier as local_port and 0. */
struct policy_connection_key {
  __u32 scope; /* policy_endpoint.id */
  __u16 local_port;
  __u16 remote_port;
  struct policy_address local;
  struct policy_address remote;
  __u8 protocol;
  __u8 reserved[3];
};
enum policy_connection_state {
  POLICY_CONNECTION_NEW = 0,      /* no reply yet */
  POLICY_CONNECTION_REPLIED = 1,
  POLICY_CONNECTION_CLOSING = 2,  /* FIN or RST seen */
  POLICY_CONNECTION_DEFERRED = 3, /* egress, waiting for its verdict behind address translation: no reply may pass */
};
enum policy_direction { POLICY_INGRESS = 0, POLICY_EGRESS = 1 };
/* What is known of a connection but its key and its last packet: eight bytes, read and written as one word. */
struct policy_connection {
  __u32 epoch; /* of the endpoint when it was judged */
  __u32 state : 2; /* policy_connection_state */
  __u32 direction : 1; /* who opened it, seen from the endpoint */
  __u32 translated : 2; /* has an entry in translations */
  __u32 audit : 1;      /* let pass only because the endpoint audits */
  __u32 own_node : 1;   /* opened by the node itself: not judged again */
  __u32 tcp : 1;
  __u32 tag : 24; /* of the key, never 0 */
};

/* connections: array, BPF_F_MMAPABLE. A connection is in the bucket that its key's hash names, in any of the ways. Nothing
 * is locked: a way is written by clearing its state, then its key, and its state last. Its reader takes the state first,
 * then compares the key. Of two writers of one way at once it may keep the key of one and the state of the other, whose
 * tag is that of the other key: such a way is nobody's, until it is used again. */
enum { POLICY_WAYS = 8 };
struct policy_stored_key {
  struct policy_connection_key key;
  __u32 reserved;
};
struct policy_bucket {
  __u64 states[POLICY_WAYS]; /* policy_connection; 0: free */
  __u32 seen[POLICY_WAYS];   /* the last packet: policy_seen() of the programs' time */
  __u32 scopes[POLICY_WAYS]; /* those of the keys */
  struct policy_stored_key keys[POLICY_WAYS];
};
/* Two ways for each connection of the limit: with as many connections one bucket in fifty overflows. */
static inline __u32 policy_buckets(__u32 connections) { return connections < 4 ? 1 : (connections + 3) / 4; }
/* In units of 134 ms: enough for limits of seconds, and good for 18 years. */
static inline __u32 policy_seen(__u64 time_ns) { return (__u32)(time_ns >> 27); }
enum { POLICY_SEEN_SECOND = 8 };

/* seeds: array of one: random numbers that live as long as `connections`. The programs have them as `connection_seeds`. */
struct policy_seeds {
  __u32 words[POLICY_SEEDS];
};

/* NH of UMAC (RFC 4418, 5.2.2): two keys that were chosen without the seeds meet with a probability of at most 2^-32, so
 * that no pod can aim at another's bucket. Its sums of ports in a row lie in a row: folded and multiplied twice, since
 * after one round some seeds would heap them up in a few buckets. */
static inline __u64 policy_connection_hash(const struct policy_connection_key *key, const volatile __u32 *seeds) {
  __u32 words[POLICY_SEEDS];
  __builtin_memcpy(words, key, sizeof(*key));
  words[11] = 0;
  __u64 sum = 0;
  for (int i = 0; i < POLICY_SEEDS; i += 2) sum += (__u64)(__u32)(words[i] + seeds[i]) * (__u32)(words[i + 1] + seeds[i + 1]);
  sum = (sum ^ sum >> 32) * 0x9fb21c651e98df25ULL;
  sum = (sum ^ sum >> 32) * 0xd6e8feb86659fd93ULL;
  return sum ^ sum >> 29;
}
static inline __u32 policy_bucket_of(__u64 hash, __u32 buckets) { return (__u32)(((hash >> 32) * buckets) >> 32); }
static inline __u32 policy_tag_of(__u64 hash) { return ((__u32)hash & 0xffffff) | 1; }

/* translations: LRU hash, key policy_connection_key: what an egress connection's destination became. */
struct policy_translation {
  struct policy_address remote;
  __u16 remote_port;
  __u16 reserved[3];
};

/* tickets: array. A packet whose egress verdict waits for address translation carries index + 1 in its mark. */
struct policy_ticket {
  __u64 issued_ns;
  __u32 ifindex; /* of the sender's device */
  __u32 reserved;
  struct policy_connection_key connection;
};

/* fragments: LRU hash: the ports of the first fragment, for the others. Of IPv6 the protocol is no part of the key: the
 * others say what follows their fragment header, which may be one more extension header (RFC 8200, 4.5). */
struct policy_fragment_key {
  __u32 scope;
  __u32 id;
  struct policy_address source;
  struct policy_address destination;
  __u8 protocol;
  __u8 reserved[3];
};
struct policy_fragment {
  __u64 seen_ns;
  __u16 source_port;
  __u16 destination_port;
  __u8 protocol;
  __u8 reserved[3];
};

/* budgets: array, index scope modulo POLICY_BUDGETS: how many connections an endpoint may still open. */
struct policy_budget {
  __u64 tokens_ns; /* when the bucket will be full again */
};

/* deny: LPM trie, key policy_prefix, value __u32 1: the hosts' deny list. own: hash, key policy_address, value __u32 1:
 * the node's addresses, which HostPolicy protects. */

enum policy_verdict { POLICY_FORWARDED = 1, POLICY_DROPPED = 2, POLICY_AUDITED = 3 }; /* FORWARDED, DROPPED as in Hubble */

/* Why. The names are what `flows` and metrics print: lower case, without POLICY_REASON_. */
enum policy_reason {
  POLICY_REASON_NONE = 0,
  /* passed */
  POLICY_REASON_OPEN,        /* no policy selects the endpoint in this direction */
  POLICY_REASON_RULE,        /* a rule accepts */
  POLICY_REASON_DEFAULT,     /* no rule decides, the set's default accepts */
  POLICY_REASON_CONNECTION,  /* belongs to a connection that was judged */
  POLICY_REASON_RELATED,     /* an ICMP error of such a connection */
  POLICY_REASON_OWN_NODE,    /* made by the node itself */
  POLICY_REASON_NEIGHBOUR,   /* ARP, neighbour discovery, MLD */
  POLICY_REASON_DEFERRED,    /* judged behind address translation */
  POLICY_REASON_NOT_OURS,    /* not to or from anything that a policy protects */
  POLICY_REASON_SELF,        /* a pod to itself through a Service */
  /* dropped */
  POLICY_REASON_POLICY_DENIED = 16,    /* a rule denies */
  POLICY_REASON_NO_RULE,               /* isolated, and no rule accepts */
  POLICY_REASON_SPOOFED_SOURCE,
  POLICY_REASON_CLOSED,                /* the endpoint has not been judged yet */
  POLICY_REASON_TRUNCATED,             /* a header does not fit into the packet */
  POLICY_REASON_BAD_HEADER,            /* a field that contradicts another */
  POLICY_REASON_SOURCE_ROUTE,          /* the packet names its own way: another destination than the one judged */
  POLICY_REASON_TINY_FRAGMENT,         /* a first fragment without the whole transport header, or one that would rewrite it */
  POLICY_REASON_FRAGMENT_WITHOUT_FIRST,
  POLICY_REASON_EXTENSION_HEADERS,     /* more than are followed */
  POLICY_REASON_UNKNOWN_ETHERTYPE,
  POLICY_REASON_VLAN_DEPTH,
  POLICY_REASON_INVALID_CONNECTION,    /* a TCP packet that opens nothing and belongs to nothing */
  POLICY_REASON_UNRELATED_ICMP,        /* an ICMP error about no known connection */
  POLICY_REASON_CONNECTION_LIMIT,
  POLICY_REASON_TICKET,                /* a mark that names no waiting packet */
  POLICY_REASON_UNCONFIRMED,           /* a reply to a connection whose egress was not judged yet */
  POLICY_REASON_DENY_LIST,
  POLICY_REASON_TORN,                  /* the endpoint changed twice while it was read */
  POLICY_REASON_REVOKED,               /* a policy change ended the connection */
  POLICY_REASON_LAST,
};

/* drops: per-CPU array, index direction * POLICY_REASONS + reason; passed packets are counted under their reason too. */
struct policy_count {
  __u64 packets;
  __u64 bytes;
};

/* events: ring buffer. One for each new verdict, as far as the rate allows; lost ones are counted in event_state. */
enum policy_event_flags { POLICY_EVENT_AUDIT = 1 << 0, POLICY_EVENT_REPLY = 1 << 1 };
struct policy_event {
  __u64 time_ns; /* CLOCK_MONOTONIC */
  __u32 ifindex; /* of the endpoint that decided */
  __u32 set;
  __u16 rule;
  __u8 verdict;
  __u8 reason;
  __u8 direction;
  __u8 protocol;
  __u8 tcp_flags;
  __u8 flags;
  __u16 source_port;
  __u16 destination_port;
  __u32 source_identity; /* 0: not looked up */
  __u32 destination_identity;
  __u32 length;
  struct policy_address source;
  struct policy_address destination;
};
/* event_state: per-CPU array of one. */
struct policy_event_state {
  __u64 tokens_ns;
  __u64 lost;
};

#ifdef __cplusplus
#define POLICY_SIZE(type, bytes) static_assert(sizeof(struct type) == (bytes), #type)
#else
#define POLICY_SIZE(type, bytes) _Static_assert(sizeof(struct type) == (bytes), #type)
#endif
POLICY_SIZE(policy_endpoint, 80);
POLICY_SIZE(policy_publication, 8);
POLICY_SIZE(policy_prefix, 20);
POLICY_SIZE(policy_location, 12);
POLICY_SIZE(policy_row, 48);
POLICY_SIZE(policy_peer_key, 8);
POLICY_SIZE(policy_port_key, 8);
POLICY_SIZE(policy_port_range_key, 12);
POLICY_SIZE(policy_rule, 8);
POLICY_SIZE(policy_connection_key, 44);
POLICY_SIZE(policy_connection, 8);
POLICY_SIZE(policy_stored_key, 48);
POLICY_SIZE(policy_bucket, 512);
POLICY_SIZE(policy_seeds, 48);
POLICY_SIZE(policy_translation, 24);
POLICY_SIZE(policy_ticket, 64);
POLICY_SIZE(policy_fragment_key, 44);
POLICY_SIZE(policy_fragment, 16);
POLICY_SIZE(policy_event, 72);

#endif
