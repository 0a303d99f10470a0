/* What policy_verdict needs in the kernel: packets that differ, and the parts of a verdict on their own. BPF_PROG_TEST_RUN
 * repeats one packet; `vary` gives it another source each time and hands it to the program in `next`. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ebpf/abi/policy.h"
#include "tests/bench/policy_sender.h"

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} next SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct policy_variation);
} variation SEC(".maps");

struct element { /* as large as what the data path keeps of a connection */
  __u64 words[8];
};
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, struct element);
} connections SEC(".maps");

static __always_inline struct policy_variation *advance(void) {
  const __u32 zero = 0;
  struct policy_variation *v = bpf_map_lookup_elem(&variation, &zero);
  if (!v) return 0;
  /* A full period modulo 2^64 either way: steps of one, or Knuth's MMIX generator. */
  v->state = v->random ? v->state * 6364136223846793005ULL + 1442695040888963407ULL : v->state + 1;
  return v;
}

static __always_inline __u32 drawn(const struct policy_variation *v) { return (__u32)(v->random ? v->state >> 32 : v->state); }

/* The unit: what it costs to run a program at all. */
SEC("tc")
int empty(struct __sk_buff *skb __attribute__((unused))) { return 0; }

SEC("tc")
int vary(struct __sk_buff *skb) {
  const struct policy_variation *v = advance();
  __u8 *data = (__u8 *)(long)skb->data;
  const __u32 ports = v && v->ipv6 ? 54 : 34; /* behind Ethernet and IP without options; IPv4 sources at 26 */
  if (!v || data + ports + 2 > (const __u8 *)(long)skb->data_end) return POLICY_NOT_SENT;
  const __u32 number = drawn(v);
  if (v->addresses) *(__u32 *)(void *)(data + 26) = bpf_htonl(v->first_address + (number & v->addresses));
  if (v->ports) *(__u16 *)(void *)(data + ports) = bpf_htons((__u16)(number >> v->port_shift));
  bpf_tail_call(skb, &next, 0);
  return POLICY_NOT_SENT;
}

/* What the kernel's own table would cost a new flow: the insertion of a key that is not there, without anything else. */
SEC("tc")
int insert(struct __sk_buff *skb __attribute__((unused))) {
  const struct policy_variation *v = advance();
  if (!v) return 0;
  const __u64 key = v->state;
  const struct element value = {.words = {v->state}};
  bpf_map_update_elem(&connections, &key, &value, BPF_ANY);
  return 0;
}

char sender_license[] SEC("license") = "GPL";
