/* Packets that the kernel freed because it dropped them, by its own reason. */
#include "ebpf/abi/drops.h"
#include "ebpf/programs/collect/collect.h"

HASH(values, BPF_MAP_TYPE_PERCPU_HASH, struct drops_key, __u64, DROPS_ROWS);
SHARED_ARRAY(cpus, struct drops_cpu);

const volatile __u32 host_namespace = 0; /* inode number of the agent's network namespace */

SEC("tp_btf/kfree_skb")
int drops_free(__u64 *ctx) {
  struct drops_cpu *cpu = CPU_OF(drops_cpu, DROPS_FREE);
  if (!cpu) return 0;
  const struct sk_buff *skb = (const struct sk_buff *)ctx[0];
  struct drops_key key = {.reason = (__u32)ctx[2]};
  const struct net_device *dev = BPF_CORE_READ(skb, dev);
  /* In a socket's queue the place of `dev` holds other things; what is not a device has no namespace with a number. */
  const __u32 inode = dev ? BPF_CORE_READ(dev, nd_net.net, ns.inum) : 0;
  if (inode) {
    key.place = inode == host_namespace ? DROPS_HOST : DROPS_ELSEWHERE;
    bpf_probe_read_kernel_str(key.device, sizeof(key.device), &dev->name);
  }
  __u64 *packets = bpf_map_lookup_elem(&values, &key);
  if (!packets) {
    const __u64 none = 0;
    (void)bpf_map_update_elem(&values, &key, &none, BPF_NOEXIST);
    packets = bpf_map_lookup_elem(&values, &key);
  }
  if (packets) ADD(*packets, 1);
  else ADD(cpu->lost, 1);
  return 0;
}
