#include "discovery/sources/rtnetlink.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "agent/base/netlink.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxLinks = 4096, kMaxAddresses = 16384;
// Without what a driver or the carrier changes by itself.
constexpr std::array<std::pair<unsigned, std::string_view>, 5> kFlags{{{IFF_BROADCAST, "broadcast"},
                                                                       {IFF_MULTICAST, "multicast"},
                                                                       {IFF_NOARP, "noarp"},
                                                                       {IFF_POINTOPOINT, "pointtopoint"},
                                                                       {IFF_PROMISC, "promiscuous"}}};
constexpr std::array<std::string_view, 5> kXdpModes{"", "native", "generic", "offloaded", "multiple"};

// Only link-layer addresses in the form of a MAC (6 bytes; InfiniBand 20): a tunnel's are IP addresses.
std::string mac_text(std::string_view bytes) {
  if (bytes.size() < 6 || bytes.size() > 32 || bytes.size() == 16) return {};
  std::string out;
  for (const char byte : bytes)
    out += fmt::format("{}{:02x}", out.empty() ? "" : ":", static_cast<unsigned char>(byte));
  return out;
}

void parse_link_info(std::string_view payload, Link& link) {
  std::string_view data;
  NetlinkAttributes info(payload);
  while (const auto attribute = info.next()) {
    if (attribute->type == IFLA_INFO_KIND) link.kind = netlink_text(attribute->payload);
    if (attribute->type == IFLA_INFO_DATA) data = attribute->payload;
  }
  if (link.kind != "vlan") return;
  NetlinkAttributes vlan(data);
  while (const auto attribute = vlan.next()) {
    if (attribute->type != IFLA_VLAN_ID) continue;
    if (const auto id = netlink_value<std::uint16_t>(attribute->payload)) link.vlan_id = *id;
  }
}

void parse_xdp(std::string_view payload, Link& link) {
  NetlinkAttributes xdp(payload);
  while (const auto attribute = xdp.next()) {
    if (attribute->type != IFLA_XDP_ATTACHED) continue;
    const auto mode = netlink_value<std::uint8_t>(attribute->payload).value_or(0);
    if (mode < kXdpModes.size()) link.xdp_attached = kXdpModes[mode];
  }
}

void parse_link_attribute(const NetlinkAttribute& attribute, Link& link) {
  const auto number = [&attribute] { return netlink_value<std::uint32_t>(attribute.payload).value_or(0); };
  const auto byte = [&attribute] { return netlink_value<std::uint8_t>(attribute.payload).value_or(0); };
  switch (attribute.type) {
    case IFLA_IFNAME: link.name = netlink_text(attribute.payload); break;
    case IFLA_ADDRESS: link.mac = mac_text(attribute.payload); break;
    case IFLA_PERM_ADDRESS: link.permanent_mac = mac_text(attribute.payload); break;
    case IFLA_MTU: link.mtu = number(); break;
    case IFLA_LINK: link.lower = number(); break;
    case IFLA_LINK_NETNSID: link.lower_elsewhere = true; break;
    case IFLA_MASTER: link.master = number(); break;
    case IFLA_NUM_RX_QUEUES: link.rx_queues = number(); break;
    case IFLA_NUM_TX_QUEUES: link.tx_queues = number(); break;
    case IFLA_OPERSTATE: link.state = operstate_name(byte()); break;
    case IFLA_CARRIER: link.carrier = byte() != 0; break;
    case IFLA_LINKINFO: parse_link_info(attribute.payload, link); break;
    case IFLA_XDP: parse_xdp(attribute.payload, link); break;
    case IFLA_PARENT_DEV_NAME: link.parent_device = netlink_text(attribute.payload); break;
    case IFLA_PARENT_DEV_BUS_NAME: link.parent_bus = netlink_text(attribute.payload); break;
    default: break;
  }
}

Result<> dump(NetlinkSocket& socket, std::uint16_t type, std::string_view payload, const NetlinkSocket::Take& take,
              const std::function<void()>& begin) {
  for (int attempt = 0;; ++attempt) {
    begin();
    Result<> done = socket.request(type, NLM_F_DUMP, payload, take);
    if (done.has_value() || done.error().code != Code::aborted || attempt == 2) return done;
  }
}

}  // namespace

std::optional<Link> parse_link(std::string_view payload) {
  const auto header = netlink_value<ifinfomsg>(payload);
  if (!header || header->ifi_index <= 0) return std::nullopt;
  Link link;
  link.index = static_cast<std::uint32_t>(header->ifi_index);
  link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0 || header->ifi_type == ARPHRD_LOOPBACK;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  for (const auto& [bit, name] : kFlags) {
    if ((header->ifi_flags & bit) != 0) link.flags.emplace_back(name);
  }
  NetlinkAttributes attributes(payload.substr(std::min(payload.size(), std::size_t{NLMSG_ALIGN(sizeof(ifinfomsg))})));
  while (const auto attribute = attributes.next())
    parse_link_attribute(*attribute, link);
  if (attributes.malformed() || link.name.empty()) return std::nullopt;
  if (!link.up) link.carrier.reset();
  return link;
}

std::optional<Address> parse_address(std::string_view payload) {
  const auto header = netlink_value<ifaddrmsg>(payload);
  if (!header) return std::nullopt;
  std::string_view local, remote;
  std::uint32_t flags = header->ifa_flags;
  NetlinkAttributes attributes(payload.substr(std::min(payload.size(), std::size_t{NLMSG_ALIGN(sizeof(ifaddrmsg))})));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == IFA_LOCAL) local = attribute->payload;
    if (attribute->type == IFA_ADDRESS) remote = attribute->payload;
    if (attribute->type == IFA_FLAGS) flags = netlink_value<std::uint32_t>(attribute->payload).value_or(flags);
  }
  const std::string_view bytes = local.empty() ? remote : local;
  const std::size_t length = header->ifa_family == AF_INET ? 4 : 16;
  const bool known = header->ifa_family == AF_INET || header->ifa_family == AF_INET6;
  if (attributes.malformed() || !known || bytes.size() != length || header->ifa_prefixlen > length * 8)
    return std::nullopt;
  Address out{header->ifa_index, {}};
  const bool six = header->ifa_family == AF_INET6;
  if (six && (flags & (IFA_F_TEMPORARY | IFA_F_TENTATIVE | IFA_F_DEPRECATED)) != 0) return out;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(header->ifa_family, bytes.data(), text.data(), text.size()) == nullptr) return std::nullopt;
  out.text = fmt::format("{}/{}", text.data(), header->ifa_prefixlen);
  return out;
}

Result<RtnetlinkDump> dump_rtnetlink() {
  Result<NetlinkSocket> socket = NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) return std::move(socket.error()).within("rtnetlink");
  RtnetlinkDump out;
  std::string payload(NLMSG_ALIGN(sizeof(ifinfomsg)), '\0');
  const std::uint32_t skip = RTEXT_FILTER_SKIP_STATS;
  append_attribute(payload, IFLA_EXT_MASK, bytes_of(skip));
  const auto take_link = [&out](const NetlinkMessage& message) {
    if (message.type != RTM_NEWLINK) return;
    std::optional<Link> link = parse_link(message.payload);
    if (link && out.links.size() < kMaxLinks) {
      out.links.push_back(std::move(*link));
    } else {
      ++out.left_out;
    }
  };
  Result<> done = dump(*socket, RTM_GETLINK, payload, take_link, [&out] { out = {}; });
  if (done.has_error()) return std::move(done.error()).within("dump of links");
  const std::size_t left_out = out.left_out;
  const auto take_address = [&out](const NetlinkMessage& message) {
    if (message.type != RTM_NEWADDR) return;
    std::optional<Address> address = parse_address(message.payload);
    if (address && out.addresses.size() < kMaxAddresses) {
      if (!address->text.empty()) out.addresses.push_back(std::move(*address));
    } else {
      ++out.left_out;
    }
  };
  done = dump(*socket, RTM_GETADDR, std::string(NLMSG_ALIGN(sizeof(ifaddrmsg)), '\0'), take_address, [&out, left_out] {
    out.addresses.clear();
    out.left_out = left_out;
  });
  if (done.has_error()) return std::move(done.error()).within("dump of addresses");
  return out;
}

}  // namespace omnitide::discovery
