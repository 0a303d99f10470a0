/* Programs that do nothing, where those of the metrics are that run most often: the price of the calls. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define EMPTY(name, section, result) \
  SEC(section)                       \
  int empty_##name(void *ctx) {      \
    (void)ctx;                       \
    return result;                   \
  }

EMPTY(switch, "tp_btf/sched_switch", 0)
EMPTY(soft_entry, "tp_btf/softirq_entry", 0)
EMPTY(soft_exit, "tp_btf/softirq_exit", 0)
EMPTY(hard_entry, "tp_btf/irq_handler_entry", 0)
EMPTY(hard_exit, "tp_btf/irq_handler_exit", 0)
EMPTY(complete, "tp_btf/block_rq_complete", 0)
EMPTY(send4, "fentry/ip_send_skb", 0)
EMPTY(send6, "fentry/ip6_send_skb", 0)
EMPTY(read4, "fexit/udp_recvmsg", 0)
EMPTY(read6, "fexit/udpv6_recvmsg", 0)
/* Instead of those four, where nothing can be attached to functions. */
EMPTY(send, "cgroup_skb/egress", 1)
EMPTY(receive, "cgroup_skb/ingress", 1)

char empty_license[] SEC("license") = "GPL";
