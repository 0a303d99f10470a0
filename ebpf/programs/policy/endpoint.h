/* The endpoint that a device belongs to, and what may come from it. */
#pragma once

#include "ebpf/programs/policy/report.h"

enum { ENDPOINT_NONE = 0, ENDPOINT_FOUND = 1, ENDPOINT_TORN = 2 };

struct client { /* who sent a packet that carries a ticket */
  __u32 ifindex;
  __u32 identity; /* 0: no ticket */
  struct policy_address address;
};

/* The tc programs' larger variables: the stack of 512 bytes is for the functions that they call. They run with softirqs
 * off and do not nest, so that one of each a CPU is enough; policy_deliver may be interrupted by them and has its own. */
struct scratch {
  struct policy_endpoint endpoint;
  struct policy_endpoint sender; /* of a packet with a ticket */
  struct packet packet;
  struct packet quoted; /* by an ICMP error */
  struct client client;
  struct policy_connection_key key __attribute__((aligned(8)));
};
ARRAY(scratches, struct scratch, BPF_MAP_TYPE_PERCPU_ARRAY, 1);

static __always_inline struct scratch *get_scratch(void) {
  const __u32 zero = 0;
  struct scratch *scratch = bpf_map_lookup_elem(&scratches, &zero);
  if (!scratch) return 0;
  scratch->client.ifindex = scratch->client.identity = 0;
  return scratch;
}

/* Copies the element. One that is replaced may be recycled under a reader's eyes: then the sequence is odd or moved on,
 * and readings are repeated until two of them say the same. */
static __always_inline int read_endpoint(__u32 ifindex, __u32 kind, struct policy_endpoint *to) {
  __u64 last = ~0ULL;
  for (int reading = 0; reading < MOST_READINGS; reading++) {
    const __u32 before = publication_sequence();
    const struct policy_endpoint *element = bpf_map_lookup_elem(&endpoints, &ifindex);
    __u64 version = 0;
    if (element) {
      *to = *(const volatile struct policy_endpoint *)element;
      version = to->version;
      if (version != to->version_end || (to->flags & POLICY_POD && to->id != ifindex)) continue;
    }
    if (version == last || (!(before & 1) && before == publication_sequence()))
      return element && to->flags & kind ? ENDPOINT_FOUND : ENDPOINT_NONE;
    last = version;
  }
  return ENDPOINT_TORN;
}

static __always_inline int is_own(const struct policy_endpoint *endpoint, const struct policy_address *address) {
  return !is_unspecified(address) &&
         (same_address(address, &endpoint->addresses[0]) || same_address(address, &endpoint->addresses[1]));
}

static __always_inline int is_nodes(const struct policy_address *address) { return bpf_map_lookup_elem(&own, address) != 0; }

/* Ethernet types and tags, then IP. 0 with `p` filled, POLICY_REASON_NEIGHBOUR, or why the packet is dropped. From a pod,
 * ARP must speak of the pod's own address (RFC 826: sender protocol address at 14). Of a closed device no address is
 * known: without its ARP and neighbour discovery a bridge would never learn whose it is. */
static __always_inline int parse_frame(struct __sk_buff *skb, const struct policy_endpoint *endpoint, int from, struct packet *p) {
  __u16 type = (__u16)skb->protocol;
  __u32 offset = 0;
  if (!(endpoint->flags & POLICY_NO_L2) && parse_plain(skb, p)) return 0;
  __builtin_memset(p, 0, sizeof(*p));
  if (!(endpoint->flags & POLICY_NO_L2)) {
    __u8 tag[4] ALIGNED;
    offset = ETH_HLEN;
    if (load(skb, 12, &type, 2)) return POLICY_REASON_TRUNCATED;
    for (int i = 0; i < MOST_TAGS; i++) {
      if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
      if (load(skb, offset, tag, 4)) return POLICY_REASON_TRUNCATED;
      type = (__u16)(tag[2] | tag[3] << 8); /* network order, as the frame has it */
      offset += 4;
    }
    if (type == bpf_htons(ETH_P_8021Q) || type == bpf_htons(ETH_P_8021AD)) return POLICY_REASON_VLAN_DEPTH;
  }
  if (type == bpf_htons(ETH_P_ARP)) {
    __u8 head[28] ALIGNED;
    if (load(skb, offset, head, 28)) return POLICY_REASON_TRUNCATED;
    if (!from || endpoint->flags & (POLICY_ANY_SOURCE | POLICY_CLOSED)) return POLICY_REASON_NEIGHBOUR;
    __u32 sender;
    __builtin_memcpy(&sender, head + 14, 4);
    struct policy_address address;
    map_v4(&address, sender);
    return sender == 0 || same_address(&address, &endpoint->addresses[0]) ? POLICY_REASON_NEIGHBOUR : POLICY_REASON_SPOOFED_SOURCE;
  }
  if (type != bpf_htons(ETH_P_IP) && type != bpf_htons(ETH_P_IPV6)) return POLICY_REASON_UNKNOWN_ETHERTYPE;
  return parse_ip(skb, offset, type, p);
}

/* Neighbour and listener discovery may come from a link-local or unspecified address too; an advertisement must be for
 * the pod's own address (RFC 4861, 4.4: target at 8; hop limits are the receiver's business). */
static __always_inline int is_spoofed(struct __sk_buff *skb, const struct policy_endpoint *endpoint, const struct packet *p) {
  if (endpoint->flags & (POLICY_ANY_SOURCE | POLICY_HOST)) return 0;
  if (p->flags & PACKET_NEIGHBOUR && (p->icmp_type == 134 || p->icmp_type == 137)) return 1; /* a pod is no router */
  if (endpoint->flags & POLICY_CLOSED) return 0;
  if (p->flags & PACKET_NEIGHBOUR) {
    if (p->icmp_type == 136) {
      struct policy_address target;
      if (load(skb, p->transport + 8, &target, 16)) return 1;
      if (!is_own(endpoint, &target) && (!is_link_local(&target) || is_nodes(&target))) return 1;
    }
    return !is_own(endpoint, &p->source) && (!is_link_local(&p->source) || is_nodes(&p->source)) && !is_unspecified(&p->source);
  }
  return !is_own(endpoint, &p->source);
}
