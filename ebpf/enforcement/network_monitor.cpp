#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <utility>

#include "ebpf/enforcement/network.hpp"

namespace omnitide::enforcement {

namespace {

constexpr std::uint32_t kGroups =
    RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
constexpr int kMostDatagrams = 4096;  // of one update
constexpr int kAttempts = 5;          // of a dump that changes are mixed into

template <class Header>
std::string request_for(unsigned char family) {
  std::string out(NLMSG_ALIGN(sizeof(Header)), '\0');
  out[0] = static_cast<char>(family);  // the family is the first byte of all these headers
  return out;
}

Result<> dump(NetlinkSocket& socket, std::uint16_t type, const std::string& payload, Network& state) {
  Result<> done;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    done = socket.request(type, NLM_F_DUMP, payload, [&state](const NetlinkMessage& message) { state.apply(message); });
    if (done.has_value() || done.error().code != Code::aborted) break;
  }
  return done;
}

}  // namespace

Result<NetworkMonitor> NetworkMonitor::open() {
  Result<NetlinkSocket> events = NetlinkSocket::open(NETLINK_ROUTE, kGroups);
  if (events.has_error()) return std::move(events.error()).within("events of the network");
  Result<NetlinkSocket> requests = NetlinkSocket::open(NETLINK_ROUTE);
  if (requests.has_error()) return requests.error();
  NetworkMonitor out(std::move(*events), std::move(*requests));
  if (const Result<> read = out.read_all(); read.has_error()) return read.error();
  return out;
}

// What changes during a dump comes as an event after it, and is applied then. Only what vanished in between might be
// missed, and its event waits too.
Result<> NetworkMonitor::read_all() {
  state_.clear();
  std::string links = request_for<ifinfomsg>(AF_UNSPEC);
  const std::uint32_t brief = RTEXT_FILTER_SKIP_STATS;
  append_attribute(links, IFLA_EXT_MASK, bytes_of(brief));
  const std::pair<std::uint16_t, std::string> all[] = {
      {RTM_GETLINK, links},
      {RTM_GETADDR, request_for<ifaddrmsg>(AF_UNSPEC)},
      {RTM_GETROUTE, request_for<rtmsg>(AF_INET)},
      {RTM_GETROUTE, request_for<rtmsg>(AF_INET6)},
      {RTM_GETNEIGH, request_for<ndmsg>(AF_UNSPEC)},
      {RTM_GETNEIGH, request_for<ndmsg>(AF_BRIDGE)},
  };
  for (const auto& [type, payload] : all) {
    const Result<> done = dump(requests_, type, payload, state_);
    // A kernel without IPv6 or bridges has nothing to say.
    if (done.has_error() && done.error().code != Code::unimplemented)
      return Error(done.error()).within("state of the network");
  }
  return {};
}

Result<NetworkMonitor::Change> NetworkMonitor::update() {
  Change out;
  for (int i = 0; i < kMostDatagrams; ++i) {
    const Result<std::string_view> datagram = events_.receive();
    if (datagram.has_error()) {
      if (datagram.error().code != Code::resource_exhausted) return datagram.error();
      if (const Result<> read = read_all(); read.has_error()) return read.error();
      out.any = out.lost = true;
      continue;
    }
    if (datagram->empty()) break;
    NetlinkMessages messages(*datagram);
    while (const auto message = messages.next())
      out.any = state_.apply(*message) || out.any;
  }
  out.removed = state_.take_removed();
  return out;
}

void NetworkMonitor::ask(const Address& address, std::uint32_t ifindex) {
  const bool four = address.is_v4();
  ndmsg header{};
  header.ndm_family = four ? AF_INET : AF_INET6;
  header.ndm_ifindex = static_cast<int>(ifindex);
  header.ndm_flags = NTF_USE;
  header.ndm_state = NUD_NONE;
  std::string payload(bytes_of(header));
  const std::string_view bytes(reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size());
  append_attribute(payload, NDA_DST, four ? bytes.substr(bytes.size() - 4) : bytes);
  // It may be known already, or the device may be gone: either way the events will tell.
  (void)requests_.request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_ACK, payload, [](const NetlinkMessage&) {});
}

}  // namespace omnitide::enforcement
