/* DNS over UDP, from the side of the client: queries that a socket of the node sends to port 53, and their answers.
 *
 * There are two ways to see them, and user space takes the first one that works (docs/adr/0019-dns-by-socket.md):
 * - dns_send4, dns_send6, dns_read4, dns_read6: the functions by which datagrams are sent and read. Nothing runs for TCP.
 * - dns_send, dns_receive: the hooks of the root cgroup, which see every packet of every socket, so that a packet that is
 *   none of it leaves after a few loads. */
#include <linux/in.h>
#include <bpf/bpf_endian.h>

#include "ebpf/abi/dns.h"
#include "ebpf/programs/collect/slots.h"

HASH(pending, BPF_MAP_TYPE_HASH, struct dns_key, struct dns_query, DNS_PENDING);
SHARED_ARRAY(values, struct dns_cgroup);
SHARED_ARRAY(cpus, struct dns_cpu);

enum { PORT = 53, UDP_HEADER = 8, DNS_HEADER = 12 };
enum { IS_ANSWER = 0x80 }; /* of `flags` */

struct udp_ports {
  __u16 source, destination; /* network order */
};
struct dns_header { /* as much of it as is looked at */
  __u16 id;
  __u8 flags, code;
};

static __always_inline struct dns_cgroup *row(struct dns_cpu *cpu, __u64 cgroup) {
  const __u32 index = row_of(slot_of(cgroup, &cpu->unplaced));
  return bpf_map_lookup_elem(&values, &index);
}

static __always_inline void count_query(struct dns_cpu *cpu, const struct dns_key *key, __u64 cgroup) {
  const struct dns_query query = {.ns = bpf_ktime_get_ns(), .cgroup = cgroup};
  struct dns_cgroup *values_of = row(cpu, cgroup);
  if (!values_of) return;
  ADD(values_of->queries, 1);
  if (bpf_map_lookup_elem(&pending, key)) ADD(values_of->timeouts, 1);
  if (bpf_map_update_elem(&pending, key, &query, BPF_ANY)) ADD(cpu->lost, 1);
}

static __always_inline void count_answer(struct dns_cpu *cpu, const struct dns_key *key, __u8 code) {
  const struct dns_query *query = bpf_map_lookup_elem(&pending, key);
  if (!query) return; /* too late, twice, or to nobody who asked */
  const __u64 took = bpf_ktime_get_ns() - query->ns;
  struct dns_cgroup *values_of = row(cpu, query->cgroup);
  if (bpf_map_delete_elem(&pending, key) || !values_of) return;
  const __u32 bucket = collect_bucket(took, DNS_FIRST, DNS_BUCKETS);
  ADD(values_of->codes[code & (DNS_CODES - 1)], 1);
  ADD(values_of->latency_ns, took);
  if (bucket < DNS_BUCKETS) ADD(values_of->latencies[bucket], 1);
}

/* What a socket sends, before it is routed and filtered. Only UDP, ICMP and raw sockets send by these functions, and some
 * of TCP's answers that no socket sends. The first bytes of a datagram are in skb->head: the rest is not asked for. */
static __always_inline int look_at_sent(struct dns_cpu *cpu, const struct sk_buff *skb) {
  struct {
    struct udp_ports ports;
    __u16 length, sum;
    struct dns_header dns;
  } udp;
  const unsigned char *header = skb->head + skb->transport_header;
  if (!cpu || bpf_probe_read_kernel(&udp, sizeof(udp), header)) return 0;
  if (udp.ports.destination != bpf_htons(PORT) || udp.dns.flags & IS_ANSWER) return 0;
  const struct sock *sk = skb->sk;
  if (!sk || sk->sk_protocol != IPPROTO_UDP || bpf_ntohs(udp.length) < UDP_HEADER + DNS_HEADER) return 0;
  if (header + sizeof(udp) > skb->data + (skb->len - skb->data_len)) return 0;
  const struct dns_key key = {.socket = (__u64)sk, .id = udp.dns.id};
  count_query(cpu, &key, cgroup_of_socket(sk));
  return 0;
}

SEC("fentry/ip_send_skb")
int dns_send4(__u64 *ctx) {
  return look_at_sent(CPU_OF(dns_cpu, DNS_SEND4), (const struct sk_buff *)ctx[1]);
}

SEC("fentry/ip6_send_skb")
int dns_send6(__u64 *ctx) {
  return look_at_sent(CPU_OF(dns_cpu, DNS_SEND6), (const struct sk_buff *)ctx[0]);
}

enum { MOST_SEGMENTS = 8 }; /* of its memory that a reader may fill with one answer */
enum { SEGMENTS_BEFORE_5_14 = 4 };
enum iter_type { ITER_UBUF, ITER_IOVEC };

/* Backwards from the first byte that was not written: over what was written of `next`, and over those before it, which
 * are full. `copied` bytes in all. */
static __always_inline int read_segments(const struct iovec *next, __u64 offset, __u64 copied, struct dns_header *dns) {
  __u8 *bytes = (__u8 *)dns;
  for (int i = 0; i < MOST_SEGMENTS; ++i) {
    struct iovec segment = {};
    if (i || offset) { /* else there may be none */
      if (bpf_probe_read_kernel(&segment, sizeof(segment), next - i)) return 0;
      if (!i) segment.iov_len = offset;
    }
    const __u64 filled = segment.iov_len < copied ? segment.iov_len : copied;
    const __u8 *from = (const __u8 *)segment.iov_base + (segment.iov_len - filled);
    copied -= filled;
    for (__u64 k = 0; k < sizeof(*dns); ++k) {
      if (k >= copied && k - copied < filled && bpf_probe_read_user(&bytes[k], 1, from + (k - copied))) return 0;
    }
    if (!copied) return 1;
  }
  return 0;
}

/* The first bytes of what was just written to the reader's memory; they are there, so that reading needs no fault. */
static __always_inline int load_copied(const struct iov_iter *iter, __u64 copied, struct dns_header *dns) {
  const __u64 offset = BPF_CORE_READ(iter, iov_offset);
  const struct iovec *next = 0;
  if (bpf_core_field_exists(iter->iter_type)) {
    const __u8 type = BPF_CORE_READ(iter, iter_type);
    if (bpf_core_field_exists(iter->ubuf) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF))
      return bpf_probe_read_user(dns, sizeof(*dns), BPF_CORE_READ(iter, ubuf) + offset - copied) == 0;
    if (type != bpf_core_enum_value(enum iter_type, ITER_IOVEC)) return 0; /* the kernel's own, whose cgroup is nobody's */
  } else if ((BPF_CORE_READ((const struct iov_iter___before_5_14 *)iter, type) & ~1U) != SEGMENTS_BEFORE_5_14) {
    return 0;
  }
  if (bpf_core_field_exists(iter->__iov)) next = BPF_CORE_READ(iter, __iov);
  else next = BPF_CORE_READ((const struct iov_iter___before_6_4 *)iter, iov);
  return read_segments(next, offset, copied, dns);
}

/* What a socket's reader got, as it has it: the packet itself may lie where no program can read. A query of this socket
 * with this number is open, so that nothing needs to be known of who answered. A look at an answer that is left in the
 * queue (MSG_PEEK) is as good. The last arguments and the result are at other places before Linux 5.19 (ec095263a965);
 * `size` less what is left of it is how much was read. */
static __always_inline int look_at_read(struct dns_cpu *cpu, __u64 *ctx) {
  const struct sock *sk = (const struct sock *)ctx[0];
  const struct msghdr *message = (const struct msghdr *)ctx[1];
  const __u64 size = ctx[2], left = message->msg_iter.count;
  const __u16 peer = sk->__sk_common.skc_dport;
  struct dns_header dns;
  if (!cpu || size < left + DNS_HEADER || (peer && peer != bpf_htons(PORT))) return 0;
  if (!load_copied(&message->msg_iter, size - left, &dns) || !(dns.flags & IS_ANSWER)) return 0;
  const struct dns_key key = {.socket = (__u64)sk, .id = dns.id};
  count_answer(cpu, &key, dns.code);
  return 0;
}

SEC("fexit/udp_recvmsg")
int dns_read4(__u64 *ctx) {
  return look_at_read(CPU_OF(dns_cpu, DNS_READ4), ctx);
}

SEC("fexit/udpv6_recvmsg")
int dns_read6(__u64 *ctx) {
  return look_at_read(CPU_OF(dns_cpu, DNS_READ6), ctx);
}

/* Where the UDP header begins; 0: no UDP, or not the first fragment, or behind extension headers. */
static __always_inline __u32 find_udp(const struct __sk_buff *skb) {
  const __u8 *data = (const __u8 *)(long)skb->data;
  const __u8 *end = (const __u8 *)(long)skb->data_end;
  if (data + 20 > end) return 0; /* what comes behind may not lie here: many drivers leave it in pages */
  if (data[0] >> 4 == 4) {
    if (data[9] != IPPROTO_UDP || data[6] & 0x1f || data[7]) return 0;
    return (__u32)(data[0] & 0xf) * 4;
  }
  return data[0] >> 4 == 6 && data[6] == IPPROTO_UDP ? 40 : 0;
}

static __always_inline int load_headers(struct __sk_buff *skb, __u32 at, struct udp_ports *ports, struct dns_header *dns) {
  return skb->len >= at + UDP_HEADER + DNS_HEADER && bpf_skb_load_bytes(skb, at, ports, sizeof(*ports)) == 0 &&
         (ports->source == bpf_htons(PORT) || ports->destination == bpf_htons(PORT)) &&
         bpf_skb_load_bytes(skb, at + UDP_HEADER, dns, sizeof(*dns)) == 0;
}

SEC("cgroup_skb/egress")
int dns_send(struct __sk_buff *skb) {
  struct dns_cpu *cpu = CPU_OF(dns_cpu, DNS_SEND);
  struct udp_ports ports;
  struct dns_header dns;
  const __u32 at = find_udp(skb);
  if (!cpu || !at || !load_headers(skb, at, &ports, &dns)) return 1;
  if (ports.destination != bpf_htons(PORT) || dns.flags & IS_ANSWER) return 1;
  const struct dns_key key = {.socket = bpf_get_socket_cookie(skb), .id = dns.id, .port = ports.source};
  count_query(cpu, &key, bpf_skb_cgroup_id(skb));
  return 1;
}

SEC("cgroup_skb/ingress")
int dns_receive(struct __sk_buff *skb) {
  struct dns_cpu *cpu = CPU_OF(dns_cpu, DNS_RECEIVE);
  struct udp_ports ports;
  struct dns_header dns;
  const __u32 at = find_udp(skb);
  if (!cpu || !at || !load_headers(skb, at, &ports, &dns)) return 1;
  if (ports.source != bpf_htons(PORT) || !(dns.flags & IS_ANSWER)) return 1;
  const struct dns_key key = {.socket = bpf_get_socket_cookie(skb), .id = dns.id, .port = ports.destination};
  count_answer(cpu, &key, dns.code);
  return 1;
}
