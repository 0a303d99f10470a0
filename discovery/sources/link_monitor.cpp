#include "discovery/sources/link_monitor.hpp"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <optional>
#include <utility>

#include "discovery/sources/rtnetlink.hpp"

namespace omnitide::discovery {

namespace {

constexpr std::size_t kMaxEvents = 1024;

// nullopt: malformed.
std::optional<LinkEvent> parse_event(const NetlinkMessage& message) {
  if (message.type == RTM_NEWLINK || message.type == RTM_DELLINK) {
    std::optional<Link> link = parse_link(message.payload);
    if (!link) return std::nullopt;
    const auto kind = message.type == RTM_NEWLINK ? LinkEvent::Kind::link_set : LinkEvent::Kind::link_removed;
    return LinkEvent{kind, link->index, std::move(link->name)};
  }
  const std::optional<Address> address = parse_address(message.payload);
  if (!address) return std::nullopt;
  const auto kind = message.type == RTM_NEWADDR ? LinkEvent::Kind::address_set : LinkEvent::Kind::address_removed;
  return LinkEvent{kind, address->index, {}};
}

}  // namespace

void parse_link_events(std::string_view datagram, LinkBatch& batch) {
  NetlinkMessages messages(datagram);
  while (const auto message = messages.next()) {
    const bool known = message->type == RTM_NEWLINK || message->type == RTM_DELLINK || message->type == RTM_NEWADDR ||
                       message->type == RTM_DELADDR;
    if (!known) continue;
    if (std::optional<LinkEvent> event = parse_event(*message)) {
      batch.events.push_back(std::move(*event));
    } else {
      ++batch.malformed;
    }
  }
  if (messages.malformed()) ++batch.malformed;
}

Result<LinkMonitor> LinkMonitor::open() {
  Result<NetlinkSocket> socket =
      NetlinkSocket::open(NETLINK_ROUTE, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  if (socket.has_error()) return std::move(socket.error()).within("link events");
  return LinkMonitor(std::move(*socket));
}

Result<LinkBatch> LinkMonitor::drain() {
  LinkBatch out;
  while (out.events.size() + out.malformed < kMaxEvents) {
    const Result<std::string_view> datagram = socket_.receive();
    if (datagram.has_error()) {
      if (datagram.error().code != Code::resource_exhausted) return datagram.error();
      if (std::exchange(out.overflow, true)) break;
      continue;
    }
    if (datagram->empty()) break;
    parse_link_events(*datagram, out);
  }
  return out;
}

}  // namespace omnitide::discovery
