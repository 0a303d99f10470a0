/* From bytes to who, whom and what. Everything is copied out with its bounds checked; what cannot be resolved has a
 * reason. RFC 791, 8200, 1858 and 3128 (fragments), 4443, 5095 (routing headers), IEEE 802.1Q. */
#pragma once

#include <linux/if_ether.h>
#include <bpf/bpf_endian.h>

#include "ebpf/programs/policy/maps.h"

enum {
  PROTOCOL_ICMP = 1,
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  PROTOCOL_ICMPV6 = 58,
  PROTOCOL_SCTP = 132,
};
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

enum packet_flags {
  PACKET_LATER_FRAGMENT = 1, /* no ports in it */
  PACKET_FIRST_FRAGMENT = 2,
  PACKET_ICMP_ERROR = 4,     /* `inner` bytes hold the packet it is about */
  PACKET_NEIGHBOUR = 8,      /* neighbour or listener discovery, which no rule judges */
  PACKET_V4 = 16,
};

struct packet {
  struct policy_address source, destination;
  __u16 source_port, destination_port; /* ICMP echo: its identifier towards both */
  __u8 protocol;
  __u8 tcp_flags;
  __u8 flags;
  __u8 icmp_type;
  __u32 fragment_id;
  __u32 transport; /* offset */
  __u32 end;       /* offset behind the IP packet */
  __u8 hop_limit;  /* IPv6; of plain TCP and UDP not read */
} __attribute__((aligned(8)));

enum { FARTHEST_HEADER = 1024, MOST_EXTENSIONS = 8, MOST_TAGS = 2, MOST_OPTIONS = 40 };

#define ALIGNED __attribute__((aligned(4)))

/* `to` is aligned; whole words are copied as such, which packets of Ethernet are laid out for. */
static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, const __u32 size) {
  if (offset > FARTHEST_HEADER) return -1;
  const __u8 *data = (const __u8 *)(long)skb->data;
  const __u8 *end = (const __u8 *)(long)skb->data_end;
  if (data + offset + size <= end) {
    const __u32 *from = (const __u32 *)(const void *)(data + offset);
#pragma clang loop unroll(full)
    for (__u32 i = 0; i < size / 4; i++) ((__u32 *)to)[i] = from[i];
    if (size % 4 == 2) *(__u16 *)((__u8 *)to + (size & ~3u)) = *(const __u16 *)(const void *)(data + offset + (size & ~3u));
    if (size == 1) *(__u8 *)to = data[offset];
    return 0;
  }
  return (int)bpf_skb_load_bytes(skb, offset, to, size);
}

static __always_inline int same_address(const struct policy_address *a, const struct policy_address *b) {
  return a->words[3] == b->words[3] && a->words[2] == b->words[2] && a->words[1] == b->words[1] && a->words[0] == b->words[0];
}

/* By eight bytes at a time: for addresses that lie so. */
static __always_inline void copy_address(struct policy_address *to, const void *from) {
  ((__u64 *)(void *)to)[0] = ((const __u64 *)from)[0];
  ((__u64 *)(void *)to)[1] = ((const __u64 *)from)[1];
}

static __always_inline int is_mapped(const struct policy_address *address) {
  return !(address->words[0] | address->words[1]) && address->words[2] == bpf_htonl(0xffff);
}

static __always_inline int is_unspecified(const struct policy_address *address) {
  return !(address->words[0] | address->words[1] | address->words[2] | address->words[3]);
}

static __always_inline int is_link_local(const struct policy_address *address) {
  return address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

static __always_inline void map_v4(struct policy_address *address, __u32 v4) {
  address->words[0] = address->words[1] = 0;
  address->words[2] = bpf_htonl(0xffff);
  address->words[3] = v4;
}

/* The same, in memory that is aligned to eight bytes. What is read as one word soon is written as one: a CPU forwards a
 * store to a load within it, and waits some twelve cycles where a load spans two stores. */
static __always_inline void map_v4_wide(struct policy_address *address, __u32 v4) {
  ((__u64 *)(void *)address)[0] = 0;
  ((__u64 *)(void *)address)[1] = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (__u64)v4 << 32 | 0xffff0000 : 0x0000ffff00000000 | v4;
}

static __always_inline __u32 pair_of(__u16 first, __u16 second) {
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (__u32)second << 16 | first : (__u32)first << 16 | second;
}

/* Ports, flags and ICMP types; `available` bytes of the transport header belong to the packet. `inner`: of a packet that
 * an ICMP error quotes, of which eight bytes suffice. */
static __always_inline int parse_transport(struct __sk_buff *skb, struct packet *p, int inner) {
  __u8 head[16] ALIGNED;
  const __u32 available = p->end - p->transport;
  __u32 needed = 8;
  if (p->protocol == PROTOCOL_TCP) needed = inner ? 8 : 20;
  else if (p->protocol == PROTOCOL_SCTP) needed = inner ? 8 : 12;
  else if (p->protocol != PROTOCOL_UDP && p->protocol != PROTOCOL_ICMP && p->protocol != PROTOCOL_ICMPV6) return 0;
  if (p->end < p->transport || available < needed)
    return p->flags & PACKET_FIRST_FRAGMENT ? POLICY_REASON_TINY_FRAGMENT : POLICY_REASON_TRUNCATED;
  if (p->protocol == PROTOCOL_TCP && !inner) {
    if (load(skb, p->transport, head, 16)) return POLICY_REASON_TRUNCATED;
    if ((head[12] >> 4) < 5) return POLICY_REASON_BAD_HEADER;
    p->tcp_flags = head[13];
  } else if (load(skb, p->transport, head, 8)) {
    return POLICY_REASON_TRUNCATED;
  }
  if (p->protocol != PROTOCOL_ICMP && p->protocol != PROTOCOL_ICMPV6) {
    p->source_port = (__u16)(head[0] << 8 | head[1]);
    p->destination_port = (__u16)(head[2] << 8 | head[3]);
    return 0;
  }
  if (!(p->flags & PACKET_V4) != (p->protocol == PROTOCOL_ICMPV6)) return 0; /* ICMPv6 in IPv4: just a protocol */
  const __u8 type = head[0];
  p->icmp_type = type;
  if (p->protocol == PROTOCOL_ICMP) {
    if (type == 0 || type == 8) p->source_port = p->destination_port = (__u16)(head[4] << 8 | head[5]);
    if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12) p->flags |= PACKET_ICMP_ERROR;
  } else {
    if (type == 128 || type == 129) p->source_port = p->destination_port = (__u16)(head[4] << 8 | head[5]);
    if (type >= 1 && type <= 4) p->flags |= PACKET_ICMP_ERROR;
    /* RFC 4861, 7.1.1 and 2710, 3: whatever was forwarded has another hop limit, and is any other ICMP. */
    const int listener = type <= 132 || type == 143;
    if (((type >= 130 && type <= 137) || type == 143) && p->hop_limit == (listener ? 1 : 255)) p->flags |= PACKET_NEIGHBOUR;
  }
  return 0;
}

/* The loops below are global functions over scalars: the verifier of 5.10 then walks each of them once, on its own. */

/* Source routes change the destination behind the verdict's back. Malformed options are not passed on either. Walks
 * byte by byte, with a count of those to skip: a position that varied would be a state of its own for the verifier. */
__noinline int policy_has_source_route(struct __sk_buff *skb, __u32 offset, __u32 length) {
  __u8 options[MOST_OPTIONS] = {};
  __u32 skip = 0;
  for (__u32 i = 0; i < MOST_OPTIONS; i += 4) {
    if (i < length && bpf_skb_load_bytes(skb, offset + i, options + i, 4)) return 1;
  }
  for (__u32 i = 0; i < MOST_OPTIONS; i++) {
    if (skip) {
      skip--;
      continue;
    }
    if (i >= length || options[i] == 0) return 0;
    if (options[i] == 131 || options[i] == 137) return 1;
    if (options[i] == 1) continue;
    if (i + 1 >= length || i + 1 >= MOST_OPTIONS || options[i + 1] < 2) return 1;
    skip = options[i + 1] - 1u;
  }
  return 0;
}

/* fragment id << 32 | transport offset << 16 | protocol << 8 | WALK_FIRST | WALK_LATER | reason. */
enum { WALK_FIRST = 64, WALK_LATER = 128, WALK_REASON = 63 };

static __always_inline __u64 walked(__u32 id, __u32 at, __u8 protocol, __u32 flags) {
  return (__u64)id << 32 | (at & 0xffff) << 16 | (__u32)protocol << 8 | flags;
}

/* Follows the extension headers from `at`; `end` is that of the packet. */
__noinline __u64 policy_walk_extensions(struct __sk_buff *skb, __u32 at, __u32 end, __u32 first) {
  __u32 flags = 0, id = 0;
  __u8 next = (__u8)first;
  for (int i = 0; i <= MOST_EXTENSIONS; i++) {
    __u8 extension[8] ALIGNED;
    if (next != 0 && next != 43 && next != 44 && next != 51 && next != 60 && next != 135 && next != 139 && next != 140)
      return at > FARTHEST_HEADER ? POLICY_REASON_TRUNCATED : walked(id, at, next, flags);
    if (i == MOST_EXTENSIONS || (next == 0 && i != 0)) return POLICY_REASON_EXTENSION_HEADERS;
    if (at + 8 > end || load(skb, at, extension, 8)) return POLICY_REASON_TRUNCATED;
    if (next == 43 && extension[3] != 0) return POLICY_REASON_SOURCE_ROUTE; /* segments left */
    if (next == 44) {
      const __u32 fragment = (__u32)(extension[2] << 8 | extension[3]);
      id = (__u32)extension[4] << 24 | (__u32)extension[5] << 16 | (__u32)extension[6] << 8 | extension[7];
      if (fragment >> 3)
        return extension[0] == PROTOCOL_TCP && (fragment >> 3) < 3 ? POLICY_REASON_TINY_FRAGMENT
                                                                   : walked(id, at + 8, extension[0], WALK_LATER);
      if (fragment & 1) flags = WALK_FIRST;
      at += 8;
    } else if (next == 51) {
      at += ((__u32)extension[1] + 2) * 4;
    } else {
      at += ((__u32)extension[1] + 1) * 8;
    }
    next = extension[0];
  }
  return POLICY_REASON_EXTENSION_HEADERS;
}

static __always_inline int parse_v4(struct __sk_buff *skb, __u32 offset, struct packet *p, int inner) {
  __u8 head[20] ALIGNED;
  if (load(skb, offset, head, 20)) return POLICY_REASON_TRUNCATED;
  const __u32 header = (__u32)(head[0] & 15) * 4;
  __u32 total = (__u32)(head[2] << 8 | head[3]);
  if ((head[0] >> 4) != 4 || header < 20) return POLICY_REASON_BAD_HEADER;
  if (total == 0 && skb->len > 65535) total = skb->len - offset; /* a segment that is cut up later */
  if (total < header) return POLICY_REASON_BAD_HEADER;
  if (!inner && offset + total > skb->len) return POLICY_REASON_TRUNCATED;
  p->flags |= PACKET_V4;
  p->protocol = head[9];
  p->transport = offset + header;
  p->end = offset + total;
  if (p->end > skb->len) p->end = skb->len; /* quoted by an ICMP error, cut off */
  map_v4(&p->source, *(__u32 *)(void *)(head + 12));
  map_v4(&p->destination, *(__u32 *)(void *)(head + 16));
  p->fragment_id = (__u32)(head[4] << 8 | head[5]);
  if (header > 20 && !inner && policy_has_source_route(skb, offset + 20, header - 20)) return POLICY_REASON_SOURCE_ROUTE;
  const __u32 fragment = (__u32)(head[6] << 8 | head[7]);
  if (fragment & 0x1fff) {
    p->flags |= PACKET_LATER_FRAGMENT;
    return p->protocol == PROTOCOL_TCP && (fragment & 0x1fff) < 3 ? POLICY_REASON_TINY_FRAGMENT : 0;
  }
  if (fragment & 0x2000) p->flags |= PACKET_FIRST_FRAGMENT;
  return 0;
}

static __always_inline int parse_v6(struct __sk_buff *skb, __u32 offset, struct packet *p, int inner) {
  __u8 head[40] ALIGNED;
  if (load(skb, offset, head, 40)) return POLICY_REASON_TRUNCATED;
  if ((head[0] >> 4) != 6) return POLICY_REASON_BAD_HEADER;
  __u32 total = (__u32)(head[4] << 8 | head[5]) + 40;
  if (total == 40 && skb->len > 65535) total = skb->len - offset;
  if (!inner && offset + total > skb->len) return POLICY_REASON_TRUNCATED;
  p->end = offset + total;
  if (p->end > skb->len) p->end = skb->len;
  p->source = *(const struct policy_address *)(const void *)(head + 8);
  p->destination = *(const struct policy_address *)(const void *)(head + 24);
  if (is_mapped(&p->source) || is_mapped(&p->destination)) return POLICY_REASON_BAD_HEADER;
  p->protocol = head[6];
  p->hop_limit = head[7];
  p->transport = offset + 40;
  if (p->protocol == PROTOCOL_TCP || p->protocol == PROTOCOL_UDP) return 0;
  const __u64 walk = policy_walk_extensions(skb, offset + 40, p->end, head[6]);
  if (walk & WALK_REASON) return (int)(walk & WALK_REASON);
  if (walk & WALK_FIRST) p->flags |= PACKET_FIRST_FRAGMENT;
  if (walk & WALK_LATER) p->flags |= PACKET_LATER_FRAGMENT;
  p->protocol = (__u8)(walk >> 8);
  p->transport = (__u32)(walk >> 16) & 0xffff;
  p->fragment_id = (__u32)(walk >> 32);
  return 0;
}

/* TCP and UDP behind a plain header, nothing of which is unusual: nearly every packet. 0: what follows must look closer,
 * and has the reasons. Every condition here is one there. */
static __always_inline int parse_plain(struct __sk_buff *skb, struct packet *p) {
  const __u8 *data = (const __u8 *)(long)skb->data;
  const __u8 *end = (const __u8 *)(long)skb->data_end;
  const __u8 *head = data + ETH_HLEN, *transport;
  __u32 length;
  if (head + 40 > end) return 0;
  const __u16 type = *(const __u16 *)(const void *)(data + 12);
  if (type == bpf_htons(ETH_P_IP)) {
    transport = head + 20;
    length = bpf_ntohs(*(const __u16 *)(const void *)(head + 2));
    if (head[0] != 0x45 || *(const __u16 *)(const void *)(head + 6) & bpf_htons(0x3fff)) return 0;
    p->protocol = head[9];
    p->flags = PACKET_V4;
    p->transport = ETH_HLEN + 20;
    map_v4_wide(&p->source, *(const __u32 *)(const void *)(head + 12));
    map_v4_wide(&p->destination, *(const __u32 *)(const void *)(head + 16));
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    transport = head + 40;
    length = bpf_ntohs(*(const __u16 *)(const void *)(head + 4));
    if (transport + 20 > end || head[0] >> 4 != 6 || !length) return 0;
    length += 40;
    p->protocol = head[6];
    p->flags = 0;
    p->transport = ETH_HLEN + 40;
    copy_address(&p->source, head + 8);
    copy_address(&p->destination, head + 24);
    if (is_mapped(&p->source) || is_mapped(&p->destination)) return 0;
  } else {
    return 0;
  }
  p->end = ETH_HLEN + length;
  p->icmp_type = 0;
  p->tcp_flags = 0;
  p->fragment_id = 0;
  *(__u32 *)(void *)&p->source_port = pair_of(bpf_ntohs(*(const __u16 *)(const void *)transport),
                                              bpf_ntohs(*(const __u16 *)(const void *)(transport + 2)));
  if (p->protocol == PROTOCOL_TCP) {
    p->tcp_flags = transport[13];
    if (transport[12] < 0x50) return 0;
  } else if (p->protocol != PROTOCOL_UDP) {
    return 0;
  }
  return p->end >= p->transport + (p->protocol == PROTOCOL_TCP ? 20 : 8) && p->end <= skb->len;
}

/* 0, or why the packet is dropped. `offset` is that of the IP header, `protocol` an ethertype in network order. */
static __always_inline int parse_ip(struct __sk_buff *skb, __u32 offset, __u16 protocol, struct packet *p) {
  const int problem = protocol == bpf_htons(ETH_P_IP) ? parse_v4(skb, offset, p, 0) : parse_v6(skb, offset, p, 0);
  if (problem) return problem;
  if (p->flags & PACKET_LATER_FRAGMENT) return 0;
  return parse_transport(skb, p, 0);
}

/* The packet that an ICMP error quotes. */
static __noinline int parse_quoted(struct __sk_buff *skb, __u32 offset, int v4, struct packet *p) {
  const int problem = v4 ? parse_v4(skb, offset, p, 1) : parse_v6(skb, offset, p, 1);
  if (problem) return problem;
  if (p->flags & PACKET_LATER_FRAGMENT) return POLICY_REASON_UNRELATED_ICMP;
  return parse_transport(skb, p, 1);
}
