#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "ebpf/abi/policy.h"

SEC("tc")
int policy_from_endpoint(struct __sk_buff *skb) {
  (void)skb;
  return -1;
}
char policy_license[] SEC("license") = "GPL";
