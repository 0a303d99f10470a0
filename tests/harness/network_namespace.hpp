// A network namespace that lives as long as one function, and links in it, made by rtnetlink. Needs root; throws
// without.
#pragma once

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "agent/base/netlink.hpp"

namespace omnitide::test {

// Runs `body` on a thread of its own in a new, empty namespace, which goes with the thread. What it throws is thrown
// on.
template <class Body>
void in_network_namespace(Body body) {
  std::exception_ptr thrown;
  std::thread thread([&body, &thrown] {
    try {
      if (::unshare(CLONE_NEWNET) != 0)
        throw std::runtime_error(std::string("cannot make a network namespace (root is needed): ") +
                                 std::strerror(errno));
      body();
    } catch (...) {
      thrown = std::current_exception();
    }
  });
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

namespace rtnl {

inline void ask(std::uint16_t type, std::uint16_t flags, const std::string& payload, std::string_view what) {
  auto socket = omnitide::NetlinkSocket::open(NETLINK_ROUTE);
  if (socket.has_error()) throw std::runtime_error(socket.error().text());
  const auto nothing = [](const omnitide::NetlinkMessage&) {};
  const Result<> done = socket->request(type, static_cast<std::uint16_t>(flags | NLM_F_ACK), payload, nothing);
  if (done.has_error()) throw std::runtime_error("cannot " + std::string(what) + ": " + done.error().text());
}

inline std::string named_link(std::string_view name, int index = 0) {
  ifinfomsg header{};
  header.ifi_index = index;
  std::string out(omnitide::bytes_of(header));
  if (!name.empty()) omnitide::append_attribute(out, IFLA_IFNAME, std::string(name) + '\0');
  return out;
}

inline std::string link_info(std::string_view kind, const std::string& data = {}) {
  std::string out;
  omnitide::append_attribute(out, IFLA_INFO_KIND, kind);
  if (!data.empty()) omnitide::append_attribute(out, IFLA_INFO_DATA, data);
  return out;
}

}  // namespace rtnl

inline void add_veth_pair(std::string_view name, std::string_view peer) {
  std::string data, message = rtnl::named_link(name);
  omnitide::append_attribute(data, VETH_INFO_PEER, rtnl::named_link(peer));
  omnitide::append_attribute(message, IFLA_LINKINFO, rtnl::link_info("veth", data));
  rtnl::ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, message, "add a veth pair");
}

// A link of a kind that needs no data; `lower` is the index of the link that it stands on, 0 for none.
inline void add_link(std::string_view name, std::string_view kind, std::uint32_t lower = 0) {
  std::string message = rtnl::named_link(name);
  if (lower != 0) omnitide::append_attribute(message, IFLA_LINK, omnitide::bytes_of(lower));
  omnitide::append_attribute(message, IFLA_LINKINFO, rtnl::link_info(kind));
  rtnl::ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, message, "add a " + std::string(kind));
}

inline void remove_link(std::uint32_t index) {
  rtnl::ask(RTM_DELLINK, 0, rtnl::named_link({}, static_cast<int>(index)), "remove a link");
}

inline void set_up(std::uint32_t index, bool up = true) {
  ifinfomsg header{};
  header.ifi_index = static_cast<int>(index);
  header.ifi_change = IFF_UP;
  header.ifi_flags = up ? IFF_UP : 0;
  rtnl::ask(RTM_NEWLINK, 0, std::string(omnitide::bytes_of(header)), "set a link up");
}

inline void set_master(std::uint32_t index, std::uint32_t master) {
  std::string message = rtnl::named_link({}, static_cast<int>(index));
  omnitide::append_attribute(message, IFLA_MASTER, omnitide::bytes_of(master));
  rtnl::ask(RTM_NEWLINK, 0, message, "set a master");
}

inline void add_address(std::uint32_t index, const std::string& text, std::uint8_t prefix) {
  const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
  std::string address(family == AF_INET ? 4 : 16, '\0');
  if (::inet_pton(family, text.c_str(), address.data()) != 1) throw std::runtime_error(text + " is no address");
  ifaddrmsg header{};
  header.ifa_family = static_cast<unsigned char>(family);
  header.ifa_prefixlen = prefix;
  header.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0;  // usable at once
  header.ifa_index = index;
  std::string message(omnitide::bytes_of(header));
  omnitide::append_attribute(message, IFA_LOCAL, address);
  rtnl::ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, message, "add an address");
}

}  // namespace omnitide::test
