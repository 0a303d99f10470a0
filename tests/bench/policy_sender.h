/* What policy_verdict and its programs in the kernel share. */
#ifndef OMNITIDE_BENCH_POLICY_SENDER_H
#define OMNITIDE_BENCH_POLICY_SENDER_H

#include <linux/types.h>

enum { POLICY_NOT_SENT = 99 }; /* what `vary` returns when it could not hand a packet on */

/* variation: array of one. How a packet differs from the one before. */
struct policy_variation {
  __u64 state;         /* of the sequence; the number drawn is its low half, or its high half if random */
  __u32 first_address; /* IPv4, host order: the source is it plus the number's bits in `addresses` */
  __u32 addresses;     /* mask; 0 leaves the source as it is */
  __u8 random;
  __u8 ports; /* 1: the source port is the number >> port_shift */
  __u8 port_shift;
  __u8 ipv6;
  __u32 reserved;
};

#endif
