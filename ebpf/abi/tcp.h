/* TCP: what ebpf/programs/tcp.bpf.c and ebpf/collectors/tcp.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_TCP_H
#define OMNITIDE_EBPF_ABI_TCP_H

#include "ebpf/abi/collect.h"

enum tcp_limits {
  TCP_CONNECT_FIRST = 15, /* 2^15 ns: 33 microseconds */
  TCP_CONNECTS = 23,      /* up to 2^36 ns: 69 seconds, and the larger ones */
  TCP_RTT_FIRST = 4,      /* 2^4 microseconds */
  TCP_RTTS = 19,          /* up to 2^21 microseconds: 2.1 seconds, and the larger ones */
  TCP_CONNECTING = 8192,
  TCP_CONNECTIONS = 8192, /* that are looked at while they last */
};
enum tcp_program {
  TCP_STATE,
  TCP_RETRANSMIT,
  TCP_RETRANSMIT_SYNACK,
  TCP_SEND_RESET,
  TCP_RECEIVE_RESET,
  TCP_DESTROY,
  TCP_END,
  TCP_LOOK,
  TCP_FIND,
  TCP_PROGRAMS,
};
enum tcp_failure {
  TCP_REFUSED,      /* ECONNREFUSED */
  TCP_TIMED_OUT,    /* ETIMEDOUT */
  TCP_HOST,         /* EHOSTUNREACH */
  TCP_NETWORK,      /* ENETUNREACH */
  TCP_RESET,        /* ECONNRESET */
  TCP_FORBIDDEN,    /* EACCES, EPERM */
  TCP_ABANDONED,    /* no error: the program closed the socket, or found no port */
  TCP_OTHER_ERRNO,
  TCP_FAILURES,
};
enum tcp_retransmits { TCP_DATA, TCP_SYN, TCP_SYNACK, TCP_RETRANSMITS };

/* values: array by shard and slot. */
struct tcp_cgroup {
  __u64 accepts;
  __u64 failures[TCP_FAILURES];
  __u64 resets_sent, resets_received;
  __u64 retransmits[TCP_RETRANSMITS];
  __u64 bytes_sent, bytes_received; /* payload, without what was sent again */
  __u64 connect_ns;
  __u64 connects[TCP_CONNECTS]; /* successful ones */
  __u64 rtt_us;
  __u64 rtts[TCP_RTTS];
};

/* connecting: hash, key __u64 address of the socket, value __u64 time of the first SYN. */

/* What a connection has carried so far. */
struct tcp_traffic {
  __u64 sent, received;
  __u64 rtt_us; /* smoothed; 0: never measured */
};

/* connections: hash, key __u64 address of the socket: those that last. Who counts of it has its state to itself. */
struct tcp_connection {
  __u64 state; /* a number that no other connection had, and these in its last two bits */
  __u64 sent, received; /* what is counted of it */
  struct tcp_traffic last; /* with TCP_ENDED: all that it carried */
  __u64 cgroup;            /* with TCP_ENDED */
};
enum tcp_state { TCP_BUSY = 1, /* it is being looked at */ TCP_ENDED = 2, TCP_STATES = 3 };

/* cpus: array by CPU. */
struct tcp_cpu {
  __u64 runs[TCP_PROGRAMS];
  __u64 unplaced;
  __u64 lost; /* connection attempts that found `connecting` full: their latency is unknown */
};

COLLECT_SIZE(tcp_cgroup, 480);
COLLECT_SIZE(tcp_connection, 56);

#endif
