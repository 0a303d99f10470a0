#include "ebpf/enforcement/network.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

namespace omnitide::enforcement {

namespace {

constexpr std::size_t kMost = 65536;  // entries of each table

template <class Header>
std::string_view attributes_of(std::string_view payload) {
  return payload.substr(std::min(payload.size(), std::size_t{NLMSG_ALIGN(sizeof(Header))}));
}

std::optional<Address> address_of(int family, std::string_view bytes) {
  Address out;
  if (family == AF_INET && bytes.size() == 4) {
    out.bytes[10] = out.bytes[11] = 0xff;
    std::memcpy(&out.bytes[12], bytes.data(), 4);
    return out;
  }
  if (family != AF_INET6 || bytes.size() != out.bytes.size()) return std::nullopt;
  std::memcpy(out.bytes.data(), bytes.data(), bytes.size());
  return out;
}

std::optional<Mac> mac_of(std::string_view bytes) {
  Mac out{};
  if (bytes.size() != out.size()) return std::nullopt;
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return out;
}

std::uint32_t number(const NetlinkAttribute& attribute) {
  return netlink_value<std::uint32_t>(attribute.payload).value_or(0);
}

std::string kind_of(std::string_view link_info) {
  NetlinkAttributes info(link_info);
  while (const auto attribute = info.next()) {
    if (attribute->type == IFLA_INFO_KIND) return std::string(netlink_text(attribute->payload));
  }
  return {};
}

std::optional<Device> parse_device(std::string_view payload) {
  const auto header = netlink_value<ifinfomsg>(payload);
  if (!header || header->ifi_index <= 0) return std::nullopt;
  Device out{.index = static_cast<std::uint32_t>(header->ifi_index), .name = {}, .kind = {}, .type = header->ifi_type};
  out.up = (header->ifi_flags & IFF_UP) != 0;
  out.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  out.carrier = out.up && (header->ifi_flags & IFF_LOWER_UP) != 0;
  NetlinkAttributes attributes(attributes_of<ifinfomsg>(payload));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == IFLA_IFNAME) out.name = netlink_text(attribute->payload);
    if (attribute->type == IFLA_MASTER) out.master = number(*attribute);
    if (attribute->type == IFLA_LINK) out.lower = number(*attribute);
    if (attribute->type == IFLA_LINKINFO) out.kind = kind_of(attribute->payload);
  }
  if (out.name.empty()) return std::nullopt;
  return out;
}

template <class Map, class Value>
bool put(Map& map, const typename Map::key_type& key, const Value& value) {
  const auto [found, fresh] = map.try_emplace(key, value);
  if (fresh || found->second == value) return fresh;
  found->second = value;
  return true;
}

}  // namespace

bool Device::has_l2() const { return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK; }

template <class Table>
bool Network::room(const Table& table) {
  if (table.size() < kMost) return true;
  ++left_out_;
  return false;
}

bool Network::apply(const NetlinkMessage& message) {
  switch (message.type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return apply_link(message.type == RTM_NEWLINK, message.payload);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      return apply_route(message.type == RTM_NEWROUTE, (message.flags & NLM_F_REPLACE) != 0, message.payload);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return apply_neighbour(message.type == RTM_NEWNEIGH, message.payload);
    case RTM_NEWADDR:
    case RTM_DELADDR: return apply_address(message.type == RTM_NEWADDR, message.payload);
    default: return false;
  }
}

bool Network::apply_link(bool add, std::string_view payload) {
  const auto header = netlink_value<ifinfomsg>(payload);
  // A bridge tells of its ports by links of its own family, which say nothing new; only removal there is a port's.
  if (!header || header->ifi_family == AF_BRIDGE) return false;
  const std::optional<Device> device = parse_device(payload);
  if (!device) return false;
  if (!add) {
    drop_device(device->index, true);
    return devices_.erase(device->index) > 0;
  }
  const auto found = devices_.find(device->index);
  if (found == devices_.end() && !room(devices_)) return false;
  // The kernel drops a device's IPv4 routes without a word when it goes down.
  if (found != devices_.end() && found->second.up && !device->up) drop_device(device->index, false);
  return put(devices_, device->index, *device);
}

void Network::drop_device(std::uint32_t index, bool gone) {
  for (auto& [to, routes] : routes_)
    std::erase_if(routes, [index](const HostRoute& route) { return route.ifindex == index; });
  std::erase_if(routes_, [](const auto& entry) { return entry.second.empty(); });
  if (!gone) return;
  removed_.insert(index);
  std::erase_if(neighbours_, [index](const auto& entry) { return entry.first.second == index; });
  std::erase_if(own_, [index](const auto& entry) { return entry.first.second == index; });
  std::erase_if(ports_, [index](const auto& entry) { return entry.second == index || entry.first.first == index; });
}

bool Network::apply_route(bool add, bool replace, std::string_view payload) {
  const auto header = netlink_value<rtmsg>(payload);
  if (!header || header->rtm_type != RTN_UNICAST) return false;
  if (header->rtm_dst_len != (header->rtm_family == AF_INET ? 32 : 128)) return false;
  HostRoute route{.table = header->rtm_table};
  std::optional<Address> to;
  bool direct = true;
  NetlinkAttributes attributes(attributes_of<rtmsg>(payload));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == RTA_DST) to = address_of(header->rtm_family, attribute->payload);
    if (attribute->type == RTA_OIF) route.ifindex = number(*attribute);
    if (attribute->type == RTA_TABLE) route.table = number(*attribute);
    if (attribute->type == RTA_PRIORITY) route.priority = number(*attribute);
    if (attribute->type == RTA_GATEWAY || attribute->type == RTA_MULTIPATH || attribute->type == RTA_VIA)
      direct = false;
  }
  if (!to || route.table == RT_TABLE_LOCAL) return false;
  const auto same_place = [&route](const HostRoute& other) {
    return other.table == route.table && other.priority == route.priority;
  };
  if (!add || !direct || route.ifindex == 0) {
    const auto found = routes_.find(*to);
    if (found == routes_.end()) return false;
    const std::size_t before = found->second.size();
    if (!add) found->second.erase(route);
    if (add && replace) std::erase_if(found->second, same_place);
    const bool changed = found->second.size() != before;
    if (found->second.empty()) routes_.erase(found);
    return changed;
  }
  if (!routes_.contains(*to) && !room(routes_)) return false;
  std::set<HostRoute>& all = routes_[*to];
  if (replace) std::erase_if(all, [&](const HostRoute& other) { return same_place(other) && other != route; });
  return all.insert(route).second || replace;
}

bool Network::apply_neighbour(bool add, std::string_view payload) {
  const auto header = netlink_value<ndmsg>(payload);
  if (!header || header->ndm_ifindex <= 0) return false;
  const auto ifindex = static_cast<std::uint32_t>(header->ndm_ifindex);
  std::optional<Address> address;
  std::optional<Mac> mac;
  std::uint32_t bridge = 0;
  NetlinkAttributes attributes(attributes_of<ndmsg>(payload));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == NDA_DST) address = address_of(header->ndm_family, attribute->payload);
    if (attribute->type == NDA_LLADDR) mac = mac_of(attribute->payload);
    if (attribute->type == NDA_MASTER) bridge = number(*attribute);
  }
  if (header->ndm_family == AF_BRIDGE) {
    // A port's own address is permanent; a device without a bridge has a table of its own (VXLAN).
    if (!mac || bridge == 0 || (add && (header->ndm_state & NUD_PERMANENT) != 0)) return false;
    const std::pair key{bridge, *mac};
    if (add) return (ports_.contains(key) || room(ports_)) && put(ports_, key, ifindex);
    const auto found = ports_.find(key);
    if (found == ports_.end() || found->second != ifindex) return false;
    ports_.erase(found);
    return true;
  }
  if (!address) return false;
  const std::pair key{*address, ifindex};
  const bool usable = mac && (header->ndm_state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP)) == 0;
  if (!add || !usable) return neighbours_.erase(key) > 0;
  return (neighbours_.contains(key) || room(neighbours_)) && put(neighbours_, key, *mac);
}

bool Network::apply_address(bool add, std::string_view payload) {
  const auto header = netlink_value<ifaddrmsg>(payload);
  if (!header) return false;
  std::optional<Address> local, remote;
  NetlinkAttributes attributes(attributes_of<ifaddrmsg>(payload));
  while (const auto attribute = attributes.next()) {
    if (attribute->type == IFA_LOCAL) local = address_of(header->ifa_family, attribute->payload);
    if (attribute->type == IFA_ADDRESS) remote = address_of(header->ifa_family, attribute->payload);
  }
  if (!local) local = remote;
  if (!local) return false;
  const std::pair key{*local, header->ifa_index};
  if (!add) return own_.erase(key) > 0;
  const auto bits =
      static_cast<std::uint8_t>(header->ifa_prefixlen + (header->ifa_family == AF_INET ? kMappedBits : 0));
  return (own_.contains(key) || room(own_)) && put(own_, key, bits);
}

const Device* Network::device(std::uint32_t index) const {
  const auto found = devices_.find(index);
  return found == devices_.end() ? nullptr : &found->second;
}

const Device* Network::device(std::string_view name) const {
  for (const auto& [index, device] : devices_) {
    if (device.name == name) return &device;
  }
  return nullptr;
}

std::vector<HostRoute> Network::routes(const Address& to) const {
  const auto found = routes_.find(to);
  if (found == routes_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

std::vector<std::pair<std::uint32_t, Mac>> Network::neighbours(const Address& of) const {
  std::vector<std::pair<std::uint32_t, Mac>> out;
  for (auto found = neighbours_.lower_bound({of, 0}); found != neighbours_.end() && found->first.first == of; ++found)
    out.emplace_back(found->first.second, found->second);
  return out;
}

std::uint32_t Network::port(std::uint32_t bridge, const Mac& mac) const {
  const auto found = ports_.find({bridge, mac});
  return found == ports_.end() ? 0 : found->second;
}

std::vector<std::uint32_t> Network::subnets(const Address& of) const {
  std::vector<std::uint32_t> out;
  for (const auto& [place, bits] : own_) {
    if (make_prefix(place.first, bits).contains(of) && place.first != of) out.push_back(place.second);
  }
  return out;
}

std::set<Address> Network::own() const {
  std::set<Address> out;
  for (const auto& [place, bits] : own_)
    out.insert(place.first);
  return out;
}

}  // namespace omnitide::enforcement
