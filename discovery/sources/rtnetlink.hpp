// Links and addresses of the network namespace, by rtnetlink. Kernel: include/uapi/linux/{rtnetlink,if_link,if_addr}.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::discovery {

struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;  // IFLA_INFO_KIND; empty for physical devices and the loopback
  bool loopback = false, up = false;
  std::vector<std::string> flags;  // of if_flags in linux/if.h those that somebody sets, sorted
  std::string mac, permanent_mac;
  std::uint32_t mtu = 0, rx_queues = 0, tx_queues = 0;
  std::string state;             // RFC 2863 operational state in sysfs' words
  std::optional<bool> carrier;   // absent while the link is administratively down
  std::uint32_t master = 0;      // index, 0: none
  std::uint32_t lower = 0;       // IFLA_LINK: index of the device below or of the veth peer, 0: none
  bool lower_elsewhere = false;  // `lower` counts in another network namespace
  std::optional<std::uint32_t> vlan_id;
  std::string parent_device, parent_bus;  // kernel 5.14 and later
  std::string xdp_attached;               // "native", "generic", "offloaded", "multiple"; empty: none
};

struct Address {
  std::uint32_t index = 0;
  std::string text;  // "192.0.2.1/24"
};

// The payloads of RTM_NEWLINK and RTM_NEWADDR. nullopt when malformed. An IPv6 address that is temporary (RFC 8981),
// tentative or deprecated is no fact: its text is empty.
[[nodiscard]] std::optional<Link> parse_link(std::string_view payload);
[[nodiscard]] std::optional<Address> parse_address(std::string_view payload);

struct RtnetlinkDump {
  std::vector<Link> links;
  std::vector<Address> addresses;
  std::size_t left_out = 0;  // malformed, or beyond the bounds of 4096 links and 16384 addresses
};

// One dump of links and one of addresses, of the calling thread's network namespace.
[[nodiscard]] Result<RtnetlinkDump> dump_rtnetlink();

}  // namespace omnitide::discovery
