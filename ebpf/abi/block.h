/* Block I/O: what ebpf/programs/block.bpf.c and ebpf/collectors/block.cpp share. */
#ifndef OMNITIDE_EBPF_ABI_BLOCK_H
#define OMNITIDE_EBPF_ABI_BLOCK_H

#include "ebpf/abi/collect.h"

enum block_limits {
  BLOCK_LATENCY_FIRST = 12, /* 2^12 ns: 4 microseconds */
  BLOCK_LATENCIES = 23,     /* up to 2^33 ns: 8.6 seconds, and the larger ones */
  BLOCK_SIZE_FIRST = 9,     /* 512 bytes */
  BLOCK_SIZES = 17,         /* up to 2^24: 16 MiB, and the larger ones */
  BLOCK_NAME = 32,          /* DISK_NAME_LEN in include/linux/blkdev.h */
  BLOCK_ROWS = 256,
};
enum block_program { BLOCK_COMPLETE, BLOCK_PROGRAMS };
enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_OTHER, BLOCK_OPERATIONS };

/* values: per-CPU hash. */
struct block_key {
  union {
    char name[BLOCK_NAME]; /* of the whole disk, zeros behind it */
    __u64 words[BLOCK_NAME / 8];
  };
  __u32 operation;
  __u32 reserved;
};
struct block_row {
  __u64 latency_ns;
  __u64 latencies[BLOCK_LATENCIES];
  __u64 bytes;
  __u64 sizes[BLOCK_SIZES];
  __u64 errors;
};

/* cpus: array by CPU. */
struct block_cpu {
  __u64 runs[BLOCK_PROGRAMS];
  __u64 lost; /* requests that found `values` full */
};

COLLECT_SIZE(block_key, 40);
COLLECT_SIZE(block_row, 344);

#endif
