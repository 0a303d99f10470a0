#include "ebpf/enforcement/hooks.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "agent/base/netlink.hpp"

namespace omnitide::enforcement {

namespace {

// Of linux/bpf.h from 6.6 on (commit e420bed02507).
constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr __u32 kBefore = 1U << 3U;  // BPF_F_BEFORE, without a program that it is relative to: the first of all
// Filters of one priority are asked from the last that came to the first, so ours comes in front there too.
constexpr __u32 kHandle = 0x4f6d6e69, kPriority = 1;
constexpr std::string_view kOurs = "policy_";  // all programs' names begin so

Result<UniqueFd> create(int program, int target, bpf_attach_type type, __u32 flags) {
  bpf_link_create_opts options{};
  options.sz = sizeof options;
  options.flags = flags;
  const int result = bpf_link_create(program, target, type, &options);
  if (result < 0) return fail_errno(-result, "cannot attach a program");
  return owned(result);
}

bpf_tc_hook tc_hook(const LinkKey& key) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(key.ifindex);
  hook.attach_point = key.hook == Hook::in ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

bpf_tc_opts tc_options() {
  bpf_tc_opts options{};
  options.sz = sizeof options;
  options.handle = kHandle;
  options.priority = kPriority;
  return options;
}

struct Filter {
  std::uint32_t handle = 0, priority = 0, program = 0;
  bool named_ours = false;
  [[nodiscard]] bool ours() const { return handle == kHandle && priority == kPriority && named_ours; }
};

Filter parse_filter(const tcmsg& header, std::string_view attributes) {
  Filter out{.handle = header.tcm_handle, .priority = header.tcm_info >> 16U};
  NetlinkAttributes all(attributes);
  while (const auto attribute = all.next()) {
    if (attribute->type != TCA_OPTIONS) continue;
    NetlinkAttributes options(attribute->payload);
    while (const auto option = options.next()) {
      if (option->type == TCA_BPF_NAME) out.named_ours = netlink_text(option->payload).starts_with(kOurs);
      if (option->type == TCA_BPF_ID) out.program = netlink_value<std::uint32_t>(option->payload).value_or(0);
    }
  }
  return out;
}

// Of one direction; none when the device has no clsact.
Result<std::vector<Filter>> filters(std::uint32_t ifindex, Hook hook) {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) return socket.error();
  tcmsg request{};
  request.tcm_family = AF_UNSPEC;
  request.tcm_ifindex = static_cast<int>(ifindex);
  request.tcm_parent = TC_H_MAKE(TC_H_CLSACT, hook == Hook::in ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  std::vector<Filter> out;
  const auto take = [&out](const NetlinkMessage& message) {
    const auto header = netlink_value<tcmsg>(message.payload);
    if (message.type != RTM_NEWTFILTER || !header || header->tcm_handle == 0) return;
    out.push_back(parse_filter(*header, message.payload.substr(NLMSG_ALIGN(sizeof(tcmsg)))));
  };
  const Result<> done = socket->request(RTM_GETTFILTER, NLM_F_DUMP, bytes_of(request), take);
  const bool none =
      done.has_error() && (done.error().code == Code::invalid_argument || done.error().code == Code::not_found);
  if (done.has_error() && !none) return done.error();
  return out;
}

}  // namespace

Result<UniqueFd> attach_tcx(int program, const LinkKey& key) {
  const bpf_attach_type type = key.hook == Hook::in ? kTcxIngress : kTcxEgress;
  Result<UniqueFd> link = create(program, static_cast<int>(key.ifindex), type, kBefore);
  if (link.has_error() && link.error().code == Code::invalid_argument)
    return fail(Code::unimplemented, "the kernel has no tcx (Linux 6.6)");
  return link;
}

Result<UniqueFd> attach_xdp(int program, std::uint32_t ifindex) {
  const int target = static_cast<int>(ifindex);
  Result<UniqueFd> link = create(program, target, BPF_XDP, XDP_FLAGS_DRV_MODE);
  if (link.has_value() || link.error().code == Code::not_found) return link;
  link = create(program, target, BPF_XDP, XDP_FLAGS_SKB_MODE);
  if (link.has_error() && link.error().code == Code::failed_precondition)
    return fail(Code::already_exists, "another XDP program is attached");
  return link;
}

Result<UniqueFd> attach_cgroup(int program, int cgroup) { return create(program, cgroup, BPF_CGROUP_INET_INGRESS, 0); }

Result<LinkFacts> link_facts(int link, Hook hook) {
  bpf_link_info info{};
  __u32 size = sizeof info;
  if (const int result = bpf_obj_get_info_by_fd(link, &info, &size); result != 0)
    return fail_errno(-result, "cannot ask about a link");
  // tcx says its device at the place where XDP does.
  return LinkFacts{.program = info.prog_id, .detached = hook != Hook::cgroup && info.xdp.ifindex == 0};
}

Result<> switch_link(int link, int program) {
  const int result = bpf_link_update(link, program, nullptr);
  if (result == 0) return {};
  if (result == -ENOLINK) return fail(Code::not_found, "the device of a link is gone");
  return fail_errno(-result, "cannot switch a link to another program");
}

Result<> detach_link(int link) {
  const int result = bpf_link_detach(link);
  if (result == 0 || result == -ENOLINK) return {};
  return fail_errno(-result, "cannot detach a program");
}

Result<> attach_clsact(int program, const LinkKey& key) {
  bpf_tc_hook hook = tc_hook(key);
  const int made = bpf_tc_hook_create(&hook);
  if (made != 0 && made != -EEXIST) return fail_errno(-made, "cannot add the qdisc clsact");
  const Result<std::vector<Filter>> there = filters(key.ifindex, key.hook);
  if (there.has_error()) return there.error();
  const bool replace = std::any_of(there->begin(), there->end(), [](const Filter& filter) { return filter.ours(); });
  bpf_tc_opts options = tc_options();
  options.prog_fd = program;
  if (replace) options.flags = BPF_TC_F_REPLACE;
  const int result = bpf_tc_attach(&hook, &options);
  if (result != 0) return fail_errno(-result, "cannot attach a program to clsact");
  return {};
}

Result<> detach_clsact(const LinkKey& key) {
  bpf_tc_hook hook = tc_hook(key);
  const Result<std::optional<std::uint32_t>> ours = find_clsact(key);
  if (ours.has_error()) return ours.error();
  if (*ours) {
    const bpf_tc_opts options = tc_options();
    const int result = bpf_tc_detach(&hook, &options);
    if (result != 0 && result != -ENOENT) return fail_errno(-result, "cannot detach a program from clsact");
  }
  for (const Hook side : {Hook::in, Hook::out}) {
    const Result<std::vector<Filter>> rest = filters(key.ifindex, side);
    if (rest.has_error() || !rest->empty()) return {};
  }
  hook.attach_point = static_cast<bpf_tc_attach_point>(BPF_TC_INGRESS | BPF_TC_EGRESS);
  const int result = bpf_tc_hook_destroy(&hook);
  const bool gone = result == 0 || result == -ENOENT || result == -EINVAL || result == -ENODEV;
  return gone ? Result<>{} : fail_errno(-result, "cannot remove the qdisc clsact");
}

Result<std::optional<std::uint32_t>> find_clsact(const LinkKey& key) {
  const Result<std::vector<Filter>> all = filters(key.ifindex, key.hook);
  if (all.has_error()) return all.error();
  for (const Filter& filter : *all) {
    if (filter.ours()) return std::optional(filter.program);
  }
  return std::optional<std::uint32_t>{};
}

}  // namespace omnitide::enforcement
