/* From the making of a request to its completion, with its size, by disk and operation: as /proc/diskstats counts, whose
 * own time of the beginning (rq->start_time_ns) is used, so that nothing runs when a request begins. */
#include "ebpf/abi/block.h"
#include "ebpf/programs/collect/collect.h"

HASH(values, BPF_MAP_TYPE_PERCPU_HASH, struct block_key, struct block_row, BLOCK_ROWS);
SHARED_ARRAY(cpus, struct block_cpu);

static const struct block_row empty;

/* enum req_op in include/linux/blk_types.h; its values are part of no interface, but have not changed since 4.10. */
static __always_inline __u32 operation_of(__u32 flags) {
  switch (flags & 0xff) {
    case 0: return BLOCK_READ;
    case 1: return BLOCK_WRITE;
    case 2: return BLOCK_FLUSH;
    case 3: return BLOCK_DISCARD;
    default: return BLOCK_OTHER;
  }
}

static __always_inline const struct gendisk *disk_of(const struct request *request) {
  if (bpf_core_field_exists(((struct request___before_5_17 *)0)->rq_disk))
    return ((const struct request___before_5_17 *)request)->rq_disk;
  return request->q->disk;
}

/* By words: much cheaper than to copy a string. */
static __always_inline void name_of(const struct request *request, struct block_key *key) {
  const struct gendisk *disk = disk_of(request);
  if (!disk) return;
  key->words[0] = *(const __u64 *)&disk->disk_name[0];
  key->words[1] = *(const __u64 *)&disk->disk_name[8];
  key->words[2] = *(const __u64 *)&disk->disk_name[16];
  key->words[3] = *(const __u64 *)&disk->disk_name[24];
}

static __always_inline struct block_row *row(const struct block_key *key) {
  struct block_row *known = bpf_map_lookup_elem(&values, key);
  if (known) return known;
  (void)bpf_map_update_elem(&values, key, &empty, BPF_NOEXIST);
  return bpf_map_lookup_elem(&values, key);
}

SEC("tp_btf/block_rq_complete")
int block_complete(__u64 *ctx) {
  struct block_cpu *cpu = CPU_OF(block_cpu, BLOCK_COMPLETE);
  if (!cpu) return 0;
  const struct request *request = (const struct request *)ctx[0];
  const int failed = (__u32)ctx[1] != 0;
  const __u32 done = (__u32)ctx[2], left = request->__data_len;
  struct block_key key = {.operation = operation_of(request->cmd_flags)};
  /* The end of a write with a flush before or behind it: the flush and the data were requests that ended by themselves
   * (block/blk-flush.c). */
  if (!left && key.operation <= BLOCK_WRITE) return 0;
  name_of(request, &key);
  struct block_row *values_of = row(&key);
  if (!values_of) {
    ADD(cpu->lost, 1);
    return 0;
  }
  ADD(values_of->bytes, done);
  if (failed) ADD(values_of->errors, 1);
  else if (done < left) return 0; /* a part: the last one counts, and what failed */
  const __u32 size = collect_bucket(left, BLOCK_SIZE_FIRST, BLOCK_SIZES);
  if (size < BLOCK_SIZES) ADD(values_of->sizes[size], 1);
  const __u64 start = request->start_time_ns;
  if (!start) return 0; /* the disk keeps no statistics (queue/iostats) */
  const __u64 now = bpf_ktime_get_ns();
  const __u64 took = now > start ? now - start : 0;
  const __u32 latency = collect_bucket(took, BLOCK_LATENCY_FIRST, BLOCK_LATENCIES);
  ADD(values_of->latency_ns, took);
  if (latency < BLOCK_LATENCIES) ADD(values_of->latencies[latency], 1);
  return 0;
}
