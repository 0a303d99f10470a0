/* Maps, settings and small steps of the metric programs. */
#pragma once

#include "ebpf/abi/collect.h"
#include "ebpf/programs/collect/kernel.h"

/* Arrays that user space reads without a call. Sizes are the loader's. */
#define SHARED_ARRAY(map_name, value_type)  \
  struct {                                  \
    __uint(type, BPF_MAP_TYPE_ARRAY);       \
    __uint(max_entries, 1);                 \
    __uint(map_flags, BPF_F_MMAPABLE);      \
    __type(key, __u32);                     \
    __type(value, value_type);              \
  } map_name SEC(".maps")
#define HASH(map_name, map_type, key_type, value_type, entries) \
  struct {                                                      \
    __uint(type, map_type);                                     \
    __uint(max_entries, entries);                               \
    __type(key, key_type);                                      \
    __type(value, value_type);                                  \
  } map_name SEC(".maps")

#define ADD(place, amount) ((void)__sync_fetch_and_add(&(place), (amount)))

/* `cpus` of every object begins with `runs`, by program: how often it ran. A plain addition, for its cost: an interrupt in
 * between, with the same program in it, is not counted. */
#define CPU_OF(type, program)                                                  \
  ({                                                                           \
    const __u32 cpu_number = bpf_get_smp_processor_id();                       \
    struct type *cpu_row = bpf_map_lookup_elem(&cpus, &cpu_number);            \
    if (cpu_row) cpu_row->runs[program] += 1;                                  \
    cpu_row;                                                                   \
  })

char collect_license[] SEC("license") = "GPL";
