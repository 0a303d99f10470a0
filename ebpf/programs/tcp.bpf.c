/* TCP as the sockets of the node have it. */
#include "ebpf/abi/tcp.h"
#include "ebpf/programs/collect/slots.h"

HASH(connecting, BPF_MAP_TYPE_HASH, __u64, __u64, TCP_CONNECTING);
SHARED_ARRAY(values, struct tcp_cgroup);
SHARED_ARRAY(cpus, struct tcp_cpu);

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct tcp_seen);
} seen SEC(".maps");

const volatile __u32 live = 0;            /* tracing programs may use the storage of sockets: Linux 5.11 (8e4597c627fb) */
const volatile __u32 retransmit_error = 0; /* the tracepoint has a third argument, and tells of failures too */

/* include/net/tcp_states.h, RFC 9293 */
enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECEIVED = 3, TIME_WAIT = 6, CLOSE = 7, NEW_SYN_RECEIVED = 12 };
enum { PROTOCOL_TCP = 6 };
enum sock_flags { SOCK_DONE = 1 };

static __always_inline struct tcp_cgroup *row_of_cgroup(struct tcp_cpu *cpu, __u64 cgroup) {
  const __u32 index = row_of(slot_of(cgroup, &cpu->unplaced));
  return bpf_map_lookup_elem(&values, &index);
}
static __always_inline struct tcp_cgroup *row(struct tcp_cpu *cpu, const struct sock *sk) {
  return row_of_cgroup(cpu, cgroup_of_socket(sk));
}

/* errno.h */
static __always_inline __u32 failure_of(int error) {
  switch (error) {
    case 0: return TCP_ABANDONED;
    case 1:
    case 13: return TCP_FORBIDDEN;
    case 101: return TCP_NETWORK;
    case 104: return TCP_RESET;
    case 110: return TCP_TIMED_OUT;
    case 111: return TCP_REFUSED;
    case 113: return TCP_HOST;
    default: return TCP_OTHER_ERRNO;
  }
}

static __always_inline void end_connecting(struct tcp_cpu *cpu, const struct sock *sk, int established) {
  const __u64 key = (__u64)sk;
  const __u64 *start = bpf_map_lookup_elem(&connecting, &key);
  struct tcp_cgroup *values_of = row(cpu, sk);
  const __u64 took = start ? bpf_ktime_get_ns() - *start : 0;
  if (start) (void)bpf_map_delete_elem(&connecting, &key);
  if (!values_of) return;
  if (!established) {
    const __u32 failure = failure_of(sk->sk_err);
    if (failure < TCP_FAILURES) ADD(values_of->failures[failure], 1);
    return;
  }
  const __u32 bucket = collect_bucket(took, TCP_CONNECT_FIRST, TCP_CONNECTS);
  ADD(values_of->connect_ns, took);
  if (bucket < TCP_CONNECTS) ADD(values_of->connects[bucket], 1);
}

SEC("tp_btf/inet_sock_set_state")
int tcp_state(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_STATE);
  const struct sock *sk = (const struct sock *)ctx[0];
  const int from = (int)ctx[1], to = (int)ctx[2];
  if (!cpu) return 0;
  if (to == SYN_SENT) {
    const __u64 key = (__u64)sk, now = bpf_ktime_get_ns();
    if (sk->sk_protocol != PROTOCOL_TCP) return 0;
    if (bpf_map_update_elem(&connecting, &key, &now, BPF_ANY)) ADD(cpu->lost, 1);
  } else if (from == SYN_SENT) {
    if (sk->sk_protocol == PROTOCOL_TCP) end_connecting(cpu, sk, to != CLOSE);
  } else if (from == SYN_RECEIVED && to == ESTABLISHED) {
    struct tcp_cgroup *values_of = row(cpu, sk);
    if (values_of && sk->sk_protocol == PROTOCOL_TCP) ADD(values_of->accepts, 1);
  }
  return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int tcp_retransmit(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_RETRANSMIT);
  const struct sock *sk = (const struct sock *)ctx[0];
  if (!cpu || (retransmit_error && (int)ctx[2] != 0)) return 0;
  struct tcp_cgroup *values_of = row(cpu, sk);
  if (!values_of) return 0;
  if (sk->__sk_common.skc_state == SYN_SENT) ADD(values_of->retransmits[TCP_SYN], 1);
  else ADD(values_of->retransmits[TCP_DATA], 1);
  return 0;
}

/* The socket is the one that listens. */
SEC("tp_btf/tcp_retransmit_synack")
int tcp_synack(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_RETRANSMIT_SYNACK);
  struct tcp_cgroup *values_of = cpu ? row(cpu, (const struct sock *)ctx[0]) : 0;
  if (values_of) ADD(values_of->retransmits[TCP_SYNACK], 1);
  return 0;
}

/* Often nobody's: an answer to a SYN for a port where nobody listens. */
SEC("tp_btf/tcp_send_reset")
int tcp_reset_sent(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_SEND_RESET);
  const struct sock *sk = (const struct sock *)ctx[0];
  if (!cpu) return 0;
  const int state = sk ? BPF_CORE_READ(sk, __sk_common.skc_state) : TIME_WAIT;
  const __u64 cgroup = state == TIME_WAIT || state == NEW_SYN_RECEIVED ? 0 : cgroup_of_socket(sk);
  struct tcp_cgroup *values_of = row_of_cgroup(cpu, cgroup);
  if (values_of) ADD(values_of->resets_sent, 1);
  return 0;
}

SEC("tp_btf/tcp_receive_reset")
int tcp_reset_received(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_RECEIVE_RESET);
  struct tcp_cgroup *values_of = cpu ? row(cpu, (const struct sock *)ctx[0]) : 0;
  if (values_of) ADD(values_of->resets_received, 1);
  return 0;
}

static __always_inline void add_traffic(struct tcp_cgroup *values_of, const struct tcp_sock *tcp, struct tcp_seen *before,
                                        __u64 received) {
  const __u64 sent = tcp->bytes_sent - tcp->bytes_retrans;
  if (sent > before->sent) ADD(values_of->bytes_sent, sent - before->sent);
  if (received > before->received) ADD(values_of->bytes_received, received - before->received);
  before->sent = sent;
  before->received = received;
  const __u64 rtt = tcp->srtt_us >> 3;
  const __u32 bucket = collect_bucket(rtt, TCP_RTT_FIRST, TCP_RTTS);
  if (!rtt) return; /* never measured */
  ADD(values_of->rtt_us, rtt);
  if (bucket < TCP_RTTS) ADD(values_of->rtts[bucket], 1);
}

/* A connection's bytes are counted when it ends, and of one that lives on, once a second. */
SEC("tp_btf/tcp_destroy_sock")
int tcp_destroy(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_DESTROY);
  struct sock *sk = (struct sock *)ctx[0];
  struct tcp_sock *tcp = cpu ? bpf_skc_to_tcp_sock(sk) : 0;
  struct tcp_seen none = {};
  struct tcp_seen *before = &none;
  if (!tcp || (!tcp->bytes_sent && !tcp->bytes_received)) return 0;
  if (live) {
    struct tcp_seen *kept = bpf_sk_storage_get(&seen, sk, 0, 0);
    if (kept) none = *kept;
  }
  struct tcp_cgroup *values_of = row(cpu, sk);
  if (!values_of) return 0;
  /* The peer's FIN is one byte of the sequence (tcp_rcv_nxt_update() and tcp_fin() in net/ipv4/tcp_input.c). */
  const __u64 fin = sk->__sk_common.skc_flags >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;
  add_traffic(values_of, tcp, before, tcp->bytes_received - (tcp->bytes_received ? fin : 0));
  return 0;
}

SEC("tp_btf/tcp_probe")
int tcp_live(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_LIVE);
  struct sock *sk = (struct sock *)ctx[0];
  struct tcp_sock *tcp = cpu ? bpf_skc_to_tcp_sock(sk) : 0;
  if (!tcp || tcp->segs_in < TCP_LIVE_SEGMENTS) return 0;
  struct tcp_seen *before = bpf_sk_storage_get(&seen, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  const __u64 now = tcp->tcp_mstamp;
  if (!before || now - before->at_us < TCP_LIVE_US) return 0;
  before->at_us = now;
  struct tcp_cgroup *values_of = row(cpu, sk);
  if (values_of) add_traffic(values_of, tcp, before, tcp->bytes_received);
  return 0;
}
