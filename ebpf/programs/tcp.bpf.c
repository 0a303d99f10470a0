/* TCP as the sockets of the node have it. */
#include "ebpf/abi/tcp.h"
#include "ebpf/programs/collect/slots.h"

HASH(connecting, BPF_MAP_TYPE_HASH, __u64, __u64, TCP_CONNECTING);
HASH(connections, BPF_MAP_TYPE_HASH, __u64, struct tcp_connection, TCP_CONNECTIONS);
SHARED_ARRAY(values, struct tcp_cgroup);
SHARED_ARRAY(cpus, struct tcp_cpu);

const volatile __u32 live = 0;            /* connections are looked at while they last: Linux 5.12 (5ffa25502b5a) */
const volatile __u32 retransmit_error = 0; /* the tracepoint has a third argument, and tells of failures too */

/* include/net/tcp_states.h, RFC 9293 */
enum { ESTABLISHED = 1, SYN_SENT = 2, SYN_RECEIVED = 3, TIME_WAIT = 6, CLOSE = 7, CLOSE_WAIT = 8, NEW_SYN_RECEIVED = 12 };
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

static __always_inline int turn(__u64 *state, __u64 from, __u64 to) {
  return __sync_val_compare_and_swap(state, from, to) == from;
}

/* When there is no room it is counted at its end. */
static __always_inline void begin_connection(const struct sock *sk) {
  const __u64 key = (__u64)sk;
  const struct tcp_connection fresh = {.state = bpf_ktime_get_ns() * (TCP_STATES + 1)};
  if (live) (void)bpf_map_update_elem(&connections, &key, &fresh, BPF_ANY);
}

SEC("tp_btf/inet_sock_set_state")
int tcp_state(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_STATE);
  const struct sock *sk = (const struct sock *)ctx[0];
  const int from = (int)ctx[1], to = (int)ctx[2];
  if (!cpu || sk->sk_protocol != PROTOCOL_TCP) return 0;
  if (to == SYN_SENT) {
    const __u64 key = (__u64)sk, now = bpf_ktime_get_ns();
    if (bpf_map_update_elem(&connecting, &key, &now, BPF_ANY)) ADD(cpu->lost, 1);
  } else if (from == SYN_SENT) {
    end_connecting(cpu, sk, to != CLOSE);
  } else if (from == SYN_RECEIVED && to == ESTABLISHED) {
    struct tcp_cgroup *values_of = row(cpu, sk);
    if (values_of) ADD(values_of->accepts, 1);
  }
  if (to == ESTABLISHED) begin_connection(sk);
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

/* Of a socket that another CPU may be changing: what counts against is read later, so that it is never too much. */
static __always_inline struct tcp_traffic traffic_of(const struct sock *sk) {
  const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
  const __u64 received = BPF_CORE_READ(tcp, bytes_received), sent = BPF_CORE_READ(tcp, bytes_sent);
  /* The peer's FIN is one byte of the sequence (tcp_rcv_nxt_update() and tcp_fin() in net/ipv4/tcp_input.c). */
  const __u64 fin = BPF_CORE_READ(sk, __sk_common.skc_flags) >> bpf_core_enum_value(enum sock_flags, SOCK_DONE) & 1;
  const __u64 again = BPF_CORE_READ(tcp, bytes_retrans);
  return (struct tcp_traffic){.sent = sent > again ? sent - again : 0,
                              .received = received > fin ? received - fin : 0,
                              .rtt_us = BPF_CORE_READ(tcp, srtt_us) >> 3};
}

static __always_inline void add_traffic(struct tcp_cgroup *values_of, const struct tcp_traffic *now, __u64 sent,
                                        __u64 received) {
  if (now->sent > sent) ADD(values_of->bytes_sent, now->sent - sent);
  if (now->received > received) ADD(values_of->bytes_received, now->received - received);
  const __u32 bucket = collect_bucket(now->rtt_us, TCP_RTT_FIRST, TCP_RTTS);
  if (!now->rtt_us) return;
  ADD(values_of->rtt_us, now->rtt_us);
  if (bucket < TCP_RTTS) ADD(values_of->rtts[bucket], 1);
}

static __always_inline void end_traffic(struct tcp_cpu *cpu, const struct tcp_traffic *all, __u64 cgroup, __u64 sent,
                                        __u64 received) {
  struct tcp_cgroup *values_of = all->sent || all->received ? row_of_cgroup(cpu, cgroup) : 0;
  if (values_of) add_traffic(values_of, all, sent, received);
}

SEC("tp_btf/tcp_destroy_sock")
int tcp_destroy(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_DESTROY);
  const struct sock *sk = (const struct sock *)ctx[0];
  const struct tcp_traffic all = traffic_of(sk);
  if (cpu) end_traffic(cpu, &all, cgroup_of_socket(sk), 0, 0);
  return 0;
}

/* The same where connections are looked at while they last. Nobody may touch the connection's row but who took its state:
 * a look that is under way finds what is left to count in `last`, and counts it. */
SEC("tp_btf/tcp_destroy_sock")
int tcp_end(__u64 *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_END);
  const struct sock *sk = (const struct sock *)ctx[0];
  const __u64 key = (__u64)sk;
  if (!cpu) return 0;
  const struct tcp_traffic all = traffic_of(sk);
  struct tcp_connection *connection = bpf_map_lookup_elem(&connections, &key);
  if (!connection) {
    end_traffic(cpu, &all, cgroup_of_socket(sk), 0, 0);
    return 0;
  }
  const __u64 free = connection->state & ~(__u64)TCP_STATES;
  if (!turn(&connection->state, free, free | TCP_ENDED)) {
    connection->last = all;
    connection->cgroup = cgroup_of_socket(sk);
    if (turn(&connection->state, free | TCP_BUSY, free | TCP_BUSY | TCP_ENDED)) return 0;
    (void)turn(&connection->state, free, free | TCP_ENDED); /* that look is over by now */
  }
  end_traffic(cpu, &all, cgroup_of_socket(sk), connection->sent, connection->received);
  (void)bpf_map_delete_elem(&connections, &key);
  return 0;
}

/* One look at a connection, when somebody asks for the values. Its socket is there as long as it has not ended. */
SEC("iter/bpf_map_elem")
int tcp_look(struct bpf_iter__bpf_map_elem *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_LOOK);
  const __u64 *address = ctx->key;
  struct tcp_connection *connection = ctx->value;
  if (!cpu || !address || !connection) return 0;
  const __u64 key = *address, free = connection->state;
  if (free & TCP_STATES || !turn(&connection->state, free, free | TCP_BUSY)) return 0;
  const struct sock *sk = (const struct sock *)key;
  const struct tcp_traffic now = traffic_of(sk);
  const __u64 cgroup = cgroup_of_socket(sk);
  if (turn(&connection->state, free | TCP_BUSY, free | TCP_BUSY) &&
      (now.sent > connection->sent || now.received > connection->received)) {
    end_traffic(cpu, &now, cgroup, connection->sent, connection->received);
    connection->sent = now.sent;
    connection->received = now.received;
  }
  if (turn(&connection->state, free | TCP_BUSY, free)) return 0;
  const struct tcp_traffic all = connection->last;
  end_traffic(cpu, &all, connection->cgroup, connection->sent, connection->received);
  (void)bpf_map_delete_elem(&connections, &key);
  return 0;
}

/* Connections that were there before: all sockets that a process has. What they carried so far is nobody's. */
SEC("iter/task_file")
int tcp_find(struct bpf_iter__task_file *ctx) {
  struct tcp_cpu *cpu = CPU_OF(tcp_cpu, TCP_FIND);
  struct file *file = ctx->file;
  const struct socket *socket = cpu && file ? bpf_sock_from_file(file) : 0;
  const struct sock *sk = socket ? socket->sk : 0;
  if (!sk || sk->sk_protocol != PROTOCOL_TCP) return 0;
  const int state = sk->__sk_common.skc_state;
  const __u64 key = (__u64)sk;
  if (state != ESTABLISHED && state != CLOSE_WAIT) return 0;
  const struct tcp_traffic before = traffic_of(sk);
  const struct tcp_connection found = {
      .state = bpf_ktime_get_ns() * (TCP_STATES + 1), .sent = before.sent, .received = before.received};
  (void)bpf_map_update_elem(&connections, &key, &found, BPF_NOEXIST);
  return 0;
}
