#include "agent/daemon/gateways.hpp"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/base/netlink.hpp"

namespace omnitide::daemon {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostGateways = 16;
constexpr std::uint16_t kDiscard = 9;  // RFC 863

int address_family(const Gateway& gateway) { return gateway.address.size() == 4 ? AF_INET : AF_INET6; }

// Of one hop of a route: RTA_GATEWAY, RTA_VIA (another family's), RTA_OIF.
void read_hop(NetlinkAttributes attributes, Gateway& out) {
  while (const auto each = attributes.next()) {
    if (each->type == RTA_GATEWAY) out.address = each->payload;
    if (each->type == RTA_VIA && each->payload.size() > sizeof(rtvia))
      out.address = each->payload.substr(sizeof(rtvia));
    if (each->type == RTA_OIF) out.index = netlink_value<std::uint32_t>(each->payload).value_or(0);
  }
}

void add_hop(Gateway gateway, unsigned flags, std::vector<Gateway>& out) {
  if ((flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0 || gateway.index == 0) return;
  if (gateway.address.size() != 4 && gateway.address.size() != 16) return;
  std::array<char, IF_NAMESIZE> name{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::if_indextoname(gateway.index, name.data()) == nullptr) return;
  (void)::inet_ntop(address_family(gateway), gateway.address.data(), text.data(), text.size());
  gateway.link = name.data();
  gateway.text = text.data();
  const auto same = [&gateway](const Gateway& other) {
    return other.family == gateway.family && other.index == gateway.index && other.address == gateway.address;
  };
  if (out.size() < kMostGateways && std::ranges::none_of(out, same)) out.push_back(std::move(gateway));
}

// struct rtnexthop, each with attributes of its own.
void add_hops(std::string_view hops, const Gateway& route, std::vector<Gateway>& out) {
  while (const auto hop = netlink_value<rtnexthop>(hops)) {
    if (hop->rtnh_len < sizeof(rtnexthop) || hop->rtnh_len > hops.size()) return;
    Gateway gateway = route;
    gateway.index = static_cast<std::uint32_t>(hop->rtnh_ifindex);
    read_hop(NetlinkAttributes(hops.substr(sizeof(rtnexthop), hop->rtnh_len - sizeof(rtnexthop))), gateway);
    gateway.index = static_cast<std::uint32_t>(hop->rtnh_ifindex);
    add_hop(std::move(gateway), hop->rtnh_flags, out);
    hops.remove_prefix(std::min(hops.size(), static_cast<std::size_t>(RTNH_ALIGN(hop->rtnh_len))));
  }
}

void add_route(std::string_view message, std::vector<Gateway>& out) {
  const auto route = netlink_value<rtmsg>(message);
  if (!route || route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST || route->rtm_table != RT_TABLE_MAIN ||
      (route->rtm_flags & RTM_F_CLONED) != 0)
    return;
  const std::string_view rest = message.substr(std::min(message.size(), std::size_t{NLMSG_ALIGN(sizeof(rtmsg))}));
  Gateway gateway;
  gateway.family = route->rtm_family;
  std::string_view hops;
  NetlinkAttributes attributes(rest);
  while (const auto each = attributes.next()) {
    if (each->type == RTA_PRIORITY) gateway.metric = netlink_value<std::uint32_t>(each->payload).value_or(0);
    if (each->type == RTA_MULTIPATH) hops = each->payload;
  }
  read_hop(NetlinkAttributes(rest), gateway);
  if (hops.empty())
    add_hop(std::move(gateway), route->rtm_flags, out);
  else
    add_hops(hops, gateway, out);
}

// NUD_* of include/uapi/linux/neighbour.h; 0 when the kernel has no entry.
Result<unsigned> neighbour_state(NetlinkSocket& netlink, const Gateway& gateway) {
  ndmsg header{};
  header.ndm_family = static_cast<unsigned char>(address_family(gateway));
  header.ndm_ifindex = static_cast<int>(gateway.index);
  std::string request(bytes_of(header));
  append_attribute(request, NDA_DST, gateway.address);
  unsigned state = 0;
  const Result<> asked = netlink.request(RTM_GETNEIGH, 0, request, [&state](const NetlinkMessage& message) {
    if (const auto is = netlink_value<ndmsg>(message.payload)) state = is->ndm_state;
  });
  if (asked.has_error() && asked.error().code != Code::not_found) return asked.error();
  return state;
}

// A socket by which something is sent to the gateway over its link, and over which an answer comes.
UniqueFd socket_to(const Gateway& gateway, bool echo) {
  const int family = address_family(gateway);
  const int protocol = !echo ? IPPROTO_UDP : family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  UniqueFd out(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  if (!out) return out;
  // Before Linux 5.7 this takes a capability; then the route decides.
  (void)::setsockopt(out.get(), SOL_SOCKET, SO_BINDTODEVICE, gateway.link.data(),
                     static_cast<socklen_t>(gateway.link.size()));
  sockaddr_in four{};
  four.sin_family = AF_INET;
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_scope_id = gateway.index;
  four.sin_port = six.sin6_port = htons(echo ? 0 : kDiscard);
  const bool is_four = family == AF_INET;
  std::memcpy(is_four ? static_cast<void*>(&four.sin_addr) : static_cast<void*>(&six.sin6_addr), gateway.address.data(),
              gateway.address.size());
  const auto* address = is_four ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
  const auto size = static_cast<socklen_t>(is_four ? sizeof four : sizeof six);
  if (::connect(out.get(), address, size) != 0) out.reset();
  return out;
}

// One gateway while it is looked at.
struct Watched {
  GatewaySight sight;
  UniqueFd socket;
  bool sent = false, given_up = false;

  [[nodiscard]] bool open() const { return sight.state == GatewayState::unknown && !given_up; }
  void send() {
    sent = true;
    socket = socket_to(sight.gateway, true);
    const bool echo = static_cast<bool>(socket);
    if (!echo) socket = socket_to(sight.gateway, false);
    if (!socket) return;
    // The kernel fills in identifier and checksum of an echo request.
    std::array<char, sizeof(icmphdr)> request{};
    if (echo) request[0] = address_family(sight.gateway) == AF_INET ? ICMP_ECHO : static_cast<char>(ICMP6_ECHO_REQUEST);
    (void)::send(socket.get(), request.data(), echo ? request.size() : 1, MSG_NOSIGNAL);
  }
  // Whether the gateway itself answered: with an echo, or by saying that nobody listens there.
  [[nodiscard]] bool answered() const {
    std::array<char, 256> buffer{};
    return socket && (::recv(socket.get(), buffer.data(), buffer.size(), 0) >= 0 || errno == ECONNREFUSED);
  }
  void settle(unsigned state, milliseconds passed) {
    // For an address that nobody has to resolve only an echo would say something.
    constexpr unsigned kFixed = NUD_PERMANENT | NUD_NOARP;
    given_up = (state & kFixed) != 0 && passed >= 1s;
    if ((state & NUD_REACHABLE) != 0 || answered()) sight.state = GatewayState::reachable;
    // What failed before something was sent is asked for anew.
    else if (sent && (state & NUD_FAILED) != 0)
      sight.state = GatewayState::unreachable;
  }
};

}  // namespace

Result<std::vector<Gateway>> default_gateways() {
  Result<NetlinkSocket> netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (netlink.has_error()) return std::move(netlink).error();
  std::vector<Gateway> out;
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<unsigned char>(family);
    std::vector<Gateway> found;
    const Result<> read =
        netlink->request(RTM_GETROUTE, NLM_F_DUMP, bytes_of(request), [&](const NetlinkMessage& message) {
          if (message.type == RTM_NEWROUTE) add_route(message.payload, found);
        });
    if (read.has_error()) return std::move(read).error().within("cannot read the routes");
    const auto best = std::ranges::min_element(found, {}, &Gateway::metric);
    for (const Gateway& each : found)
      if (each.metric == best->metric && each.family == family) out.push_back(each);
  }
  if (out.size() > kMostGateways) out.resize(kMostGateways);
  return out;
}

Result<std::vector<GatewaySight>> look_at_gateways(std::vector<Gateway> gateways, milliseconds patience,
                                                   const std::atomic<bool>& stop) {
  constexpr milliseconds kSlice = 100ms;
  Result<NetlinkSocket> netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (netlink.has_error()) return std::move(netlink).error();
  std::vector<Watched> all;
  for (Gateway& each : gateways)
    all.push_back({{std::move(each), GatewayState::unknown}, {}, false, false});
  const auto ends = steady_clock::now() + patience;
  bool open = true;
  while (open && !stop && steady_clock::now() < ends) {
    open = false;
    std::vector<pollfd> ready;
    for (Watched& each : all) {
      if (!each.open()) continue;
      const Result<unsigned> state = neighbour_state(*netlink, each.sight.gateway);
      if (state.has_error()) return std::move(state).error().within("cannot read the neighbours");
      each.settle(*state, patience - std::chrono::ceil<milliseconds>(ends - steady_clock::now()));
      if (!each.open()) continue;
      if (!each.sent) each.send();
      if (each.socket) ready.push_back({each.socket.get(), POLLIN, 0});
      open = true;
    }
    if (open) (void)::poll(ready.data(), ready.size(), static_cast<int>(kSlice.count()));
  }
  std::vector<GatewaySight> out;
  for (Watched& each : all)
    out.push_back(std::move(each.sight));
  return out;
}

}  // namespace omnitide::daemon
