/* DNS over UDP as clients see it: what ebpf/programs/dns.bpf.c and ebpf/collectors/dns.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_DNS_H
#define OMNITIDE_EBPF_ABI_DNS_H

#include "ebpf/abi/collect.h"

enum dns_limits {
  DNS_FIRST = 15,   /* 2^15 ns: 33 microseconds */
  DNS_BUCKETS = 20, /* up to 2^33 ns: 8.6 seconds, and the larger ones */
  DNS_CODES = 16,   /* the four bits of RFC 1035 4.1.1 */
  DNS_PENDING = 4096,
};
enum dns_program { DNS_SEND, DNS_RECEIVE, DNS_SEND4, DNS_SEND6, DNS_READ4, DNS_READ6, DNS_PROGRAMS };

/* pending: hash: queries without an answer. User space takes those out that are too old. */
struct dns_key {
  __u64 socket; /* its address in the kernel; its cookie where the hooks of the root cgroup see the packets */
  __u16 id;     /* network order, as the next */
  __u16 port;   /* of the socket; 0 with its address */
  __u32 reserved;
};
struct dns_query {
  __u64 ns;
  __u64 cgroup;
};

/* values: array by shard and slot. */
struct dns_cgroup {
  __u64 queries;
  __u64 timeouts; /* queries that were asked again under the same number; user space adds those without an answer */
  __u64 codes[DNS_CODES];
  __u64 latency_ns;
  __u64 latencies[DNS_BUCKETS];
};

/* cpus: array by CPU. */
struct dns_cpu {
  __u64 runs[DNS_PROGRAMS];
  __u64 unplaced;
  __u64 lost; /* queries that found `pending` full */
};

COLLECT_SIZE(dns_key, 16);
COLLECT_SIZE(dns_cgroup, 312);

#endif
