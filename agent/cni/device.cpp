#include "agent/cni/device.hpp"

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "agent/base/fd.hpp"
#include "agent/base/netlink.hpp"

namespace omnitide::cni {

namespace {

struct Link {
  std::uint32_t ifindex = 0, other_end = 0;
  std::string name, kind;
};

Link parse_link(std::string_view payload) {
  Link out;
  const auto header = netlink_value<ifinfomsg>(payload);
  if (!header) return out;
  out.ifindex = static_cast<std::uint32_t>(header->ifi_index);
  NetlinkAttributes attributes(payload.substr(std::min(payload.size(), std::size_t{NLMSG_ALIGN(sizeof(ifinfomsg))})));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == IFLA_IFNAME) out.name = netlink_text(attribute->payload);
    if (attribute->type == IFLA_LINK) out.other_end = netlink_value<std::uint32_t>(attribute->payload).value_or(0);
    if (attribute->type != IFLA_LINKINFO) continue;
    NetlinkAttributes info(attribute->payload);
    while (const auto each = info.next()) {
      if (each->type == IFLA_INFO_KIND) out.kind = netlink_text(each->payload);
    }
  }
  return out;
}

// In the namespace of the calling thread; by its name, or by its index when the name is empty.
Result<Link> ask_link(const std::string& name, std::uint32_t ifindex) {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) return socket.error();
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(ifindex);
  std::string payload(bytes_of(header));
  if (!name.empty()) append_attribute(payload, IFLA_IFNAME, name + '\0');
  Link out;
  const Result<> done = socket->request(RTM_GETLINK, 0, payload,
                                        [&out](const NetlinkMessage& answer) { out = parse_link(answer.payload); });
  if (done.has_error()) return done.error();
  return out;
}

Result<Link> ask_inside(const std::string& netns, const std::string& interface) {
  const UniqueFd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!own) return fail_errno(errno, "cannot open the own network namespace");
  const UniqueFd inside(::open(netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!inside) return fail_errno(errno, "cannot open " + netns);
  if (::setns(inside.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "cannot enter " + netns);
  Result<Link> out = ask_link(interface, 0);
  if (::setns(own.get(), CLONE_NEWNET) != 0) return fail_errno(errno, "cannot leave " + netns);
  return out;
}

}  // namespace

Result<Device> node_end(const std::string& netns, const std::string& interface) {
  const Result<Link> pod = ask_inside(netns, interface);
  if (pod.has_error()) return Error(pod.error()).within("the pod's " + interface);
  if ((pod->kind != "veth" && pod->kind != "netkit") || pod->other_end == 0)
    return fail(Code::unimplemented, "the pod's " + interface + " is a " + (pod->kind.empty() ? "card" : pod->kind) +
                                         " and has no end on the node that could be closed");
  const Result<Link> node = ask_link({}, pod->other_end);
  if (node.has_error()) return Error(node.error()).within("the node's end of the pod's " + interface);
  // An end in a third namespace has a number that means another link here.
  if (node->kind != pod->kind || node->other_end != pod->ifindex)
    return fail(Code::unimplemented, "the other end of the pod's " + interface + " is not on the node");
  return Device{.ifindex = node->ifindex, .name = node->name};
}

}  // namespace omnitide::cni
