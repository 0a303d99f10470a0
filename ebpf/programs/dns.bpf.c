/* DNS over UDP, from the side of the client: queries that a socket of the node sends to port 53, and their answers. The
 * hooks of the root cgroup see every packet of every socket, so a packet that is none of it leaves after a few loads. */
#include <linux/in.h>
#include <bpf/bpf_endian.h>

#include "ebpf/abi/dns.h"
#include "ebpf/programs/collect/slots.h"

HASH(pending, BPF_MAP_TYPE_HASH, struct dns_key, struct dns_query, DNS_PENDING);
SHARED_ARRAY(values, struct dns_cgroup);
SHARED_ARRAY(cpus, struct dns_cpu);

enum { PORT = 53, UDP_HEADER = 8, DNS_HEADER = 12 };

struct udp_ports {
  __u16 source, destination; /* network order */
};
struct dns_header {
  __u16 id;
  __u8 flags, code;
};

/* Where the UDP header begins; 0: no UDP, or not the first fragment, or behind extension headers. */
static __always_inline __u32 find_udp(const struct __sk_buff *skb) {
  const __u8 *data = (const __u8 *)(long)skb->data;
  const __u8 *end = (const __u8 *)(long)skb->data_end;
  if (data + 40 > end) return 0; /* the shortest query is 28 + 12 + 5 bytes long, with IPv4 */
  if (data[0] >> 4 == 4) {
    if (data[9] != IPPROTO_UDP || data[6] & 0x1f || data[7]) return 0;
    return (__u32)(data[0] & 0xf) * 4;
  }
  return data[0] >> 4 == 6 && data[6] == IPPROTO_UDP ? 40 : 0;
}

static __always_inline int load_headers(struct __sk_buff *skb, __u32 at, struct udp_ports *ports, struct dns_header *dns) {
  return bpf_skb_load_bytes(skb, at, ports, sizeof(*ports)) == 0 &&
         (ports->source == bpf_htons(PORT) || ports->destination == bpf_htons(PORT)) &&
         bpf_skb_load_bytes(skb, at + UDP_HEADER, dns, sizeof(*dns)) == 0;
}

static __always_inline struct dns_cgroup *row(struct dns_cpu *cpu, __u64 cgroup) {
  const __u32 index = row_of(slot_of(cgroup, &cpu->unplaced));
  return bpf_map_lookup_elem(&values, &index);
}

SEC("cgroup_skb/egress")
int dns_send(struct __sk_buff *skb) {
  struct dns_cpu *cpu = CPU_OF(dns_cpu, DNS_SEND);
  struct udp_ports ports;
  struct dns_header dns;
  const __u32 at = find_udp(skb);
  if (!cpu || !at || !load_headers(skb, at, &ports, &dns)) return 1;
  if (ports.destination != bpf_htons(PORT) || dns.flags & 0x80) return 1; /* an answer */
  const struct dns_key key = {.socket = bpf_get_socket_cookie(skb), .id = dns.id, .port = ports.source};
  const struct dns_query query = {.ns = bpf_ktime_get_ns(), .cgroup = bpf_skb_cgroup_id(skb)};
  struct dns_cgroup *values_of = row(cpu, query.cgroup);
  if (!values_of) return 1;
  ADD(values_of->queries, 1);
  if (bpf_map_lookup_elem(&pending, &key)) ADD(values_of->timeouts, 1);
  if (bpf_map_update_elem(&pending, &key, &query, BPF_ANY)) ADD(cpu->lost, 1);
  return 1;
}

SEC("cgroup_skb/ingress")
int dns_receive(struct __sk_buff *skb) {
  struct dns_cpu *cpu = CPU_OF(dns_cpu, DNS_RECEIVE);
  struct udp_ports ports;
  struct dns_header dns;
  const __u32 at = find_udp(skb);
  if (!cpu || !at || !load_headers(skb, at, &ports, &dns)) return 1;
  if (ports.source != bpf_htons(PORT) || !(dns.flags & 0x80)) return 1;
  const struct dns_key key = {.socket = bpf_get_socket_cookie(skb), .id = dns.id, .port = ports.destination};
  const struct dns_query *query = bpf_map_lookup_elem(&pending, &key);
  if (!query) return 1; /* too late, twice, or to nobody who asked */
  const __u64 took = bpf_ktime_get_ns() - query->ns;
  struct dns_cgroup *values_of = row(cpu, query->cgroup);
  if (bpf_map_delete_elem(&pending, &key) || !values_of) return 1;
  const __u32 bucket = collect_bucket(took, DNS_FIRST, DNS_BUCKETS);
  ADD(values_of->codes[dns.code & (DNS_CODES - 1)], 1);
  ADD(values_of->latency_ns, took);
  if (bucket < DNS_BUCKETS) ADD(values_of->latencies[bucket], 1);
  return 1;
}
