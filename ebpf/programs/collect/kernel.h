/* What the metric programs read of the kernel's structures: the fields, without their places, which libbpf finds in the
 * running kernel's BTF. A name with three underscores is another kernel's form of the structure before them. */
#pragma once

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

typedef _Bool bool;

/* linux/uio.h has a length of 32 bits when the compiler's target is bpf and the headers are those of x86-64. */
struct iovec {
  void *iov_base;
  __u64 iov_len;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
  __u64 id;
};
struct cgroup {
  struct kernfs_node *kn;
};
struct css_set {
  struct cgroup *dfl_cgrp;
};
struct mm_struct;
typedef struct {
  int counter;
} atomic_t;
struct signal_struct {
  atomic_t live;
  struct mm_struct *oom_mm;
};
struct sched_info {
  unsigned long long last_queued;
};
struct rq {
  __u64 clock;
};
struct cfs_rq {
  struct rq *rq;
};
struct sched_entity {
  struct cfs_rq *cfs_rq;
};
struct task_struct {
  unsigned int __state;
  struct sched_entity se;
  int exit_code;
  int pid;
  int tgid;
  struct signal_struct *signal;
  struct css_set *cgroups;
  struct sched_info sched_info;
};
struct task_struct___before_5_14 {
  long state;
};

struct ns_common {
  unsigned int inum;
};
struct net {
  struct ns_common ns;
};
typedef struct {
  struct net *net;
} possible_net_t;
struct net_device {
  char name[16];
  possible_net_t nd_net;
};
struct sock;
struct sk_buff {
  struct net_device *dev;
  struct sock *sk;
  unsigned int len, data_len;
  __u16 transport_header;
  unsigned char *head, *data;
};
struct sock_common {
  __u16 skc_dport;
  unsigned short skc_family;
  volatile unsigned char skc_state;
  unsigned long skc_flags;
};
struct sock_cgroup_data {
  struct cgroup *cgroup;
};
struct sock_cgroup_data___before_5_15 {
  __u64 val;
};
struct sock {
  struct sock_common __sk_common;
  unsigned short sk_protocol;
  int sk_err;
  struct sock_cgroup_data sk_cgrp_data;
};
struct sock___before_5_15 {
  struct sock_cgroup_data___before_5_15 sk_cgrp_data;
};
struct request_sock {
  struct sock_common __req_common;
};
struct iov_iter {
  __u8 iter_type;
  __u64 iov_offset;
  __u64 count;
  void *ubuf;
  const struct iovec *__iov;
};
struct iov_iter___before_6_4 {
  const struct iovec *iov;
};
struct iov_iter___before_5_14 {
  unsigned int type;
};
struct msghdr {
  struct iov_iter msg_iter;
};
struct socket {
  struct sock *sk;
};
struct file;
struct tcp_sock {
  __u32 srtt_us;
  __u64 bytes_received;
  __u64 bytes_sent;
  __u64 bytes_retrans;
};

struct bpf_iter__bpf_map_elem {
  void *key;
  void *value;
};
struct bpf_iter__task_file {
  struct file *file;
};

struct gendisk {
  char disk_name[32];
};
struct request_queue {
  struct gendisk *disk;
};
struct request {
  struct request_queue *q;
  unsigned int cmd_flags;
  unsigned int __data_len;
  __u64 start_time_ns;
};
struct request___before_5_17 {
  struct gendisk *rq_disk;
};
struct irqaction {
  const char *name;
};

#pragma clang attribute pop
