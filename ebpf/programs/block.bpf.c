/* From the driver's taking of a request to its completion, with its size, by disk and operation. */
#include "ebpf/abi/block.h"
#include "ebpf/programs/collect/collect.h"

HASH(inflight, BPF_MAP_TYPE_HASH, __u64, struct block_start, BLOCK_INFLIGHT);
HASH(values, BPF_MAP_TYPE_PERCPU_HASH, struct block_key, struct block_row, BLOCK_ROWS);
SHARED_ARRAY(cpus, struct block_cpu);

/* Before Linux 5.11 (a54895fa057c) the tracepoint's first argument was the queue. */
const volatile __u32 issue_argument = 0;

static const struct block_row empty;

/* Requests come back at the same addresses, so that their entries stay, with a time of zero, while there are few of them:
 * to make and free one costs more than all the rest. */
static __u64 entries;

static __always_inline int remember(const struct request *request, const struct block_start *start) {
  const __u64 key = (__u64)request;
  struct block_start *known = bpf_map_lookup_elem(&inflight, &key);
  if (known) {
    *known = *start;
    return 1;
  }
  if (bpf_map_update_elem(&inflight, &key, start, BPF_ANY)) return 0;
  ADD(entries, 1);
  return 1;
}

static __always_inline void forget(const struct request *request, struct block_start *known) {
  const __u64 key = (__u64)request;
  known->ns = 0;
  if (entries > BLOCK_STAYING && bpf_map_delete_elem(&inflight, &key) == 0) ADD(entries, -1);
}

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

SEC("tp_btf/block_rq_issue")
int block_issue(__u64 *ctx) {
  struct block_cpu *cpu = CPU_OF(block_cpu, BLOCK_ISSUE);
  if (!cpu) return 0;
  const struct request *request = (const struct request *)(issue_argument ? ctx[1] : ctx[0]);
  const struct block_start start = {
      .ns = bpf_ktime_get_ns(), .bytes = request->__data_len, .operation = operation_of(request->cmd_flags)};
  if (!remember(request, &start)) ADD(cpu->lost, 1);
  return 0;
}

static __always_inline void name_of(const struct request *request, struct block_key *key) {
  const struct gendisk *disk = 0;
  if (bpf_core_field_exists(((struct request___before_5_17 *)0)->rq_disk))
    disk = ((const struct request___before_5_17 *)request)->rq_disk;
  else
    disk = request->q->disk;
  if (disk) bpf_probe_read_kernel_str(key->name, sizeof(key->name), &disk->disk_name);
}

SEC("tp_btf/block_rq_complete")
int block_complete(__u64 *ctx) {
  struct block_cpu *cpu = CPU_OF(block_cpu, BLOCK_COMPLETE);
  if (!cpu) return 0;
  const struct request *request = (const struct request *)ctx[0];
  const __u64 address = (__u64)request;
  struct block_start *start = bpf_map_lookup_elem(&inflight, &address);
  if (!start || !start->ns) return 0; /* issued before we looked, or completed in parts: the first one counts */
  const __u64 took = bpf_ktime_get_ns() - start->ns;
  const __u32 bytes = start->bytes;
  struct block_key key = {.operation = start->operation, .failed = (__u32)ctx[1] != 0};
  forget(request, start);
  name_of(request, &key);
  struct block_row *row = bpf_map_lookup_elem(&values, &key);
  if (!row) {
    (void)bpf_map_update_elem(&values, &key, &empty, BPF_NOEXIST);
    row = bpf_map_lookup_elem(&values, &key);
  }
  if (!row) {
    ADD(cpu->lost, 1);
    return 0;
  }
  const __u32 latency = collect_bucket(took, BLOCK_LATENCY_FIRST, BLOCK_LATENCIES);
  const __u32 size = collect_bucket(bytes, BLOCK_SIZE_FIRST, BLOCK_SIZES);
  ADD(row->latency_ns, took);
  if (latency < BLOCK_LATENCIES) ADD(row->latencies[latency], 1);
  ADD(row->bytes, bytes);
  if (size < BLOCK_SIZES) ADD(row->sizes[size], 1);
  return 0;
}
