// Tells a Network of devices, routes, neighbours and addresses in the kernel's messages.
#pragma once

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/address.hpp"
#include "agent/base/netlink.hpp"
#include "ebpf/enforcement/network.hpp"

namespace omnitide::test {

struct ToldNetwork {
  enforcement::Network state;
  std::string last;  // the payload that was told last

  struct LinkTraits {
    std::uint32_t master = 0;
    std::uint16_t type = ARPHRD_ETHER;
    bool up = true, carrier = true, loopback = false;
  };

  void link(int index, std::string_view name, std::string_view kind) { link(index, name, kind, LinkTraits()); }
  void link(int index, std::string_view name, std::string_view kind, const LinkTraits& traits) {
    ifinfomsg header{};
    header.ifi_index = index;
    header.ifi_type = traits.type;
    if (traits.up) header.ifi_flags |= IFF_UP;
    if (traits.carrier) header.ifi_flags |= kLowerUp;
    if (traits.loopback) header.ifi_flags |= IFF_LOOPBACK;
    std::string payload(bytes_of(header)), info;
    append_attribute(payload, IFLA_IFNAME, std::string(name) + '\0');
    if (traits.master != 0) append_attribute(payload, IFLA_MASTER, bytes_of(traits.master));
    append_attribute(info, IFLA_INFO_KIND, kind);
    if (!kind.empty()) append_attribute(payload, IFLA_LINKINFO, info);
    tell(RTM_NEWLINK, payload);
  }
  void unlink(int index) {
    ifinfomsg header{};
    header.ifi_index = index;
    std::string payload(bytes_of(header));
    append_attribute(payload, IFLA_IFNAME, std::string_view("gone\0", 5));
    tell(RTM_DELLINK, payload);
  }

  void route(std::string_view to, std::uint32_t ifindex, std::uint32_t table, bool add = true,
             std::string_view gateway = {}) {
    const Prefix prefix = *parse_prefix(to);
    rtmsg header{};
    header.rtm_family = prefix.is_v4() ? AF_INET : AF_INET6;
    header.rtm_dst_len = static_cast<unsigned char>(prefix.length - (prefix.is_v4() ? 96 : 0));
    header.rtm_type = RTN_UNICAST;
    header.rtm_table = static_cast<unsigned char>(table < 256 ? table : std::uint32_t{RT_TABLE_COMPAT});
    std::string payload(bytes_of(header));
    append_attribute(payload, RTA_TABLE, bytes_of(table));
    append_attribute(payload, RTA_DST, wire(prefix.address));
    append_attribute(payload, RTA_OIF, bytes_of(ifindex));
    if (!gateway.empty()) append_attribute(payload, RTA_GATEWAY, wire(*parse_address(gateway)));
    tell(add ? RTM_NEWROUTE : RTM_DELROUTE, payload);
  }

  void neighbour(std::string_view text, int ifindex, const enforcement::Mac& mac, std::uint16_t state_of_it) {
    const Address address = *parse_address(text);
    ndmsg header{};
    header.ndm_family = address.is_v4() ? AF_INET : AF_INET6;
    header.ndm_ifindex = ifindex;
    header.ndm_state = state_of_it;
    std::string payload(bytes_of(header));
    append_attribute(payload, NDA_DST, wire(address));
    append_attribute(payload, NDA_LLADDR, bytes_of(mac));
    tell(RTM_NEWNEIGH, payload);
  }

  void learn(std::uint32_t bridge, int port, const enforcement::Mac& mac, std::uint16_t state_of_it) {
    ndmsg header{};
    header.ndm_family = AF_BRIDGE;
    header.ndm_ifindex = port;
    header.ndm_state = state_of_it;
    std::string payload(bytes_of(header));
    append_attribute(payload, NDA_LLADDR, bytes_of(mac));
    append_attribute(payload, NDA_MASTER, bytes_of(bridge));
    tell(RTM_NEWNEIGH, payload);
  }

  void address(std::string_view text, std::uint32_t ifindex) {
    const auto slash = text.find('/');
    const Address local = *parse_address(text.substr(0, slash));
    ifaddrmsg header{};
    header.ifa_family = local.is_v4() ? AF_INET : AF_INET6;
    header.ifa_prefixlen = static_cast<unsigned char>(std::stoi(std::string(text.substr(slash + 1))));
    header.ifa_index = ifindex;
    std::string payload(bytes_of(header));
    append_attribute(payload, IFA_LOCAL, wire(local));
    tell(RTM_NEWADDR, payload);
  }

 private:
  static constexpr unsigned kLowerUp = 1U << 16U;  // IFF_LOWER_UP of linux/if.h, which its C library twin lacks

  static std::string_view wire(const Address& of) {
    const std::string_view bytes(reinterpret_cast<const char*>(of.bytes.data()), of.bytes.size());
    return of.is_v4() ? bytes.substr(12) : bytes;
  }
  void tell(std::uint16_t type, const std::string& payload) {
    last = payload;
    (void)state.apply({.type = type, .payload = last});
  }
};

}  // namespace omnitide::test
