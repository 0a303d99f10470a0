#include "agent/daemon/link_reset.hpp"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "agent/base/netlink.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kMostRestored = 4096;  // addresses and routes of one device

// What the kernel said of it, to be said back to the kernel later.
struct Kept {
  std::vector<std::string> addresses, routes;
};

// IPv4 addresses stay with a device that is down; link-local ones of IPv6 the kernel makes itself.
bool is_kept_address(std::string_view message, unsigned index) {
  const auto address = netlink_value<ifaddrmsg>(message);
  return address && address->ifa_index == index && address->ifa_scope != RT_SCOPE_LINK &&
         (address->ifa_flags & IFA_F_PERMANENT) != 0;
}

// Neither the kernel's own, nor what a router's advertisements bring.
bool is_kept_route(std::string_view message, unsigned index) {
  const auto route = netlink_value<rtmsg>(message);
  if (!route || route->rtm_protocol == RTPROT_KERNEL || route->rtm_protocol == RTPROT_RA ||
      route->rtm_type != RTN_UNICAST || (route->rtm_flags & RTM_F_CLONED) != 0)
    return false;
  NetlinkAttributes attributes(message.substr(std::min(message.size(), std::size_t{NLMSG_ALIGN(sizeof(rtmsg))})));
  while (const auto each = attributes.next())
    if (each->type == RTA_OIF) return netlink_value<std::uint32_t>(each->payload) == index;
  return false;
}

Result<> dump(NetlinkSocket& netlink, std::uint16_t type, int family, bool (*wanted)(std::string_view, unsigned),
              unsigned index, std::vector<std::string>& out) {
  rtmsg request{};  // begins with the family, whatever is dumped
  request.rtm_family = static_cast<unsigned char>(family);
  return netlink.request(type, NLM_F_DUMP, bytes_of(request), [&](const NetlinkMessage& message) {
    if (out.size() < kMostRestored && wanted(message.payload, index)) out.emplace_back(message.payload);
  });
}

Result<Kept> keep(NetlinkSocket& netlink, unsigned index) {
  Kept out;
  Result<> read = dump(netlink, RTM_GETADDR, AF_INET6, is_kept_address, index, out.addresses);
  for (const int family : {AF_INET, AF_INET6})
    if (read.has_value()) read = dump(netlink, RTM_GETROUTE, family, is_kept_route, index, out.routes);
  if (read.has_error()) return std::move(read).error().within("cannot read addresses and routes");
  // The kernel says of a route that its link has no carrier, and takes none that says so.
  for (std::string& each : out.routes) {
    auto route = *netlink_value<rtmsg>(each);
    route.rtm_flags &= RTNH_F_ONLINK | RTNH_F_PERVASIVE;
    each.replace(0, sizeof route, bytes_of(route));
  }
  // A gateway has to be reachable when the route by it is put back: what is on the link comes first.
  std::ranges::stable_sort(out.routes, [](const std::string& a, const std::string& b) {
    return netlink_value<rtmsg>(a)->rtm_scope > netlink_value<rtmsg>(b)->rtm_scope;
  });
  return out;
}

Result<> set_up(NetlinkSocket& netlink, unsigned index, bool up) {
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  link.ifi_change = IFF_UP;
  link.ifi_flags = up ? IFF_UP : 0;
  return netlink.request(RTM_NEWLINK, NLM_F_ACK, bytes_of(link), [](const NetlinkMessage&) {});
}

// How many the kernel does not take.
std::size_t put_back(NetlinkSocket& netlink, std::uint16_t type, const std::vector<std::string>& kept) {
  std::size_t lost = 0;
  for (const std::string& each : kept) {
    const Result<> added =
        netlink.request(type, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, each, [](const NetlinkMessage&) {});
    if (added.has_error() && added.error().code != Code::already_exists) ++lost;
  }
  return lost;
}

std::optional<bool> is_up(NetlinkSocket& netlink, unsigned index) {
  std::optional<bool> out;
  ifinfomsg link{};
  link.ifi_index = static_cast<int>(index);
  const Result<> asked = netlink.request(RTM_GETLINK, NLM_F_ACK, bytes_of(link), [&out](const NetlinkMessage& message) {
    if (const auto is = netlink_value<ifinfomsg>(message.payload)) out = (is->ifi_flags & IFF_UP) != 0;
  });
  return asked.has_error() ? std::nullopt : out;
}

}  // namespace

Result<> reset_link(const std::string& device) {
  const unsigned index = ::if_nametoindex(device.c_str());
  if (index == 0) return fail(Code::not_found, fmt::format("there is no network device {}", device));
  Result<NetlinkSocket> netlink = NetlinkSocket::open(NETLINK_ROUTE);
  if (netlink.has_error()) return std::move(netlink).error();
  if (!is_up(*netlink, index).value_or(false))
    return fail(Code::failed_precondition, fmt::format("{} is down, and stays so", device));
  const Result<Kept> kept = keep(*netlink, index);
  if (kept.has_error()) return kept.error();
  if (Result<> down = set_up(*netlink, index, false); down.has_error())
    return std::move(down).error().within(fmt::format("cannot take {} down", device));
  if (Result<> up = set_up(*netlink, index, true); up.has_error())
    return std::move(up).error().within(fmt::format("{} was taken down and does not come up", device));
  const std::size_t lost =
      put_back(*netlink, RTM_NEWADDR, kept->addresses) + put_back(*netlink, RTM_NEWROUTE, kept->routes);
  if (lost == 0) return {};
  return fail(Code::aborted, fmt::format("{} was reset, and {} of its addresses and routes are gone", device, lost));
}

}  // namespace omnitide::daemon
