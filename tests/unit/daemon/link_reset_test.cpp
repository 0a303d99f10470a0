// Links of a network namespace that are taken down and up again. Needs root.
#include "agent/daemon/link_reset.hpp"

#include <linux/rtnetlink.h>

#include <set>

#include "agent/base/netlink.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/links.hpp"

using namespace omnitide;
using namespace omnitide::test;

namespace {

// Routes of one device that somebody set, as the kernel tells of them; and its IPv6 addresses.
std::set<std::string> configured(std::uint32_t index) {
  std::set<std::string> out;
  auto socket = NetlinkSocket::open(NETLINK_ROUTE);
  REQUIRE(socket);
  for (const int family : {AF_INET, AF_INET6}) {
    rtmsg request{};
    request.rtm_family = static_cast<unsigned char>(family);
    REQUIRE(socket->request(RTM_GETROUTE, NLM_F_DUMP, bytes_of(request), [&](const NetlinkMessage& message) {
      const auto route = netlink_value<rtmsg>(message.payload);
      std::string to, gateway;
      NetlinkAttributes attributes(message.payload.substr(sizeof(rtmsg)));
      while (const auto each = attributes.next()) {
        if (each->type == RTA_DST) to = each->payload;
        if (each->type == RTA_GATEWAY) gateway = each->payload;
      }
      if (route->rtm_protocol == RTPROT_STATIC)
        out.insert("route " + std::to_string(route->rtm_table) + ' ' + std::to_string(route->rtm_dst_len) + to +
                   gateway);
    }));
    ifaddrmsg addresses{};
    addresses.ifa_family = static_cast<unsigned char>(family);
    REQUIRE(socket->request(RTM_GETADDR, NLM_F_DUMP, bytes_of(addresses), [&](const NetlinkMessage& message) {
      const auto address = netlink_value<ifaddrmsg>(message.payload);
      if (address->ifa_index != index || address->ifa_scope == RT_SCOPE_LINK) return;
      NetlinkAttributes attributes(message.payload.substr(sizeof(ifaddrmsg)));
      while (const auto each = attributes.next())
        if (each->type == IFA_ADDRESS) out.insert("address " + std::string(each->payload));
    }));
  }
  return out;
}

}  // namespace

TEST_CASE("a link that was reset has the addresses and routes that it had, and was down in between") {
  const bool carrier = GENERATE(true, false);
  std::set<std::string> before, after;
  bool was_down = false;
  in_network_namespace([&] {
    add_veth_pair("eth0", "peer");
    const std::uint32_t index = index_of("eth0");
    set_up(index_of("peer"));
    set_up(index);
    add_address(index, "192.0.2.2/24");
    add_address(index, "2001:db8::2/64");
    add_route("198.51.100.0/24", index);
    add_route("0.0.0.0/0", index, RT_TABLE_MAIN, "192.0.2.1");
    add_route("203.0.113.0/24", index, 100, "192.0.2.1");
    add_route("2001:db8:1::/48", index, RT_TABLE_MAIN, "2001:db8::1");
    if (!carrier) set_up(index_of("peer"), false);
    before = configured(index);
    auto monitor = NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK);
    if (monitor.has_error()) throw std::runtime_error(monitor.error().text());
    if (const Result<> done = daemon::reset_link("eth0"); done.has_error())
      throw std::runtime_error(done.error().text());
    after = configured(index);
    for (auto bytes = monitor->receive(); bytes.has_value() && !bytes->empty(); bytes = monitor->receive()) {
      NetlinkMessages messages(*bytes);
      while (const auto message = messages.next()) {
        const auto link = netlink_value<ifinfomsg>(message->payload);
        if (link && link->ifi_index == static_cast<int>(index) && (link->ifi_flags & IFF_UP) == 0) was_down = true;
      }
    }
  });
  CHECK(was_down);
  CHECK(before.size() == 6);
  CHECK(after == before);
}

TEST_CASE("a link that somebody took down stays down, and one that is not there is named") {
  Code down{}, none{};
  in_network_namespace([&] {
    add_veth_pair("eth0", "peer");
    down = daemon::reset_link("eth0").error().code;
    none = daemon::reset_link("eth7").error().code;
  });
  CHECK(down == Code::failed_precondition);
  CHECK(none == Code::not_found);
}
