// More of what a test does to a network namespace of its own: routes, neighbours, names, and pods: namespaces behind a
// veth. Needs root; throws without.
#pragma once

#include <fcntl.h>
#include <linux/neighbour.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "agent/base/address.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/netlink.hpp"
#include "tests/harness/network_namespace.hpp"

namespace omnitide::test {

[[nodiscard]] inline std::uint32_t index_of(const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) throw std::runtime_error("there is no device " + name);
  return index;
}

// `name` below net/, of the thread's namespace.
inline void write_sysctl(const std::string& name, const std::string& value) {
  std::ofstream file("/proc/sys/net/" + name);
  file << value;
  if (!file.flush()) throw std::runtime_error("cannot set " + name + " (root is needed)");
}

namespace rtnl {

[[nodiscard]] inline std::string_view wire(const Address& address) {
  const std::string_view bytes(reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size());
  return address.is_v4() ? bytes.substr(12) : bytes;
}

[[nodiscard]] inline std::string route(std::string_view to, std::uint32_t ifindex, std::uint32_t table,
                                       std::string_view gateway) {
  const Prefix prefix = *parse_prefix(to);
  const bool four = prefix.is_v4();
  rtmsg header{};
  header.rtm_family = four ? AF_INET : AF_INET6;
  header.rtm_dst_len = static_cast<unsigned char>(prefix.length - (four ? 96 : 0));
  header.rtm_table = RT_TABLE_UNSPEC;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = gateway.empty() && four ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  std::string message(omnitide::bytes_of(header));
  if (header.rtm_dst_len != 0) omnitide::append_attribute(message, RTA_DST, wire(prefix.address));
  omnitide::append_attribute(message, RTA_OIF, omnitide::bytes_of(ifindex));
  omnitide::append_attribute(message, RTA_TABLE, omnitide::bytes_of(table));
  if (!gateway.empty()) omnitide::append_attribute(message, RTA_GATEWAY, wire(*parse_address(gateway)));
  return message;
}

}  // namespace rtnl

inline void add_route(std::string_view to, std::uint32_t ifindex, std::uint32_t table = RT_TABLE_MAIN,
                      std::string_view gateway = {}) {
  rtnl::ask(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, rtnl::route(to, ifindex, table, gateway), "add a route");
}

inline void remove_route(std::string_view to, std::uint32_t ifindex, std::uint32_t table = RT_TABLE_MAIN) {
  rtnl::ask(RTM_DELROUTE, 0, rtnl::route(to, ifindex, table, {}), "remove a route");
}

inline void add_address(std::uint32_t index, std::string_view text) {
  const Address address = *parse_address(text.substr(0, text.find('/')));
  const bool four = address.is_v4();
  ifaddrmsg header{};
  header.ifa_family = four ? AF_INET : AF_INET6;
  header.ifa_prefixlen = static_cast<unsigned char>(std::stoi(std::string(text.substr(text.find('/') + 1))));
  header.ifa_flags = four ? 0 : IFA_F_NODAD;
  header.ifa_index = index;
  std::string message(omnitide::bytes_of(header));
  omnitide::append_attribute(message, IFA_LOCAL, rtnl::wire(address));
  rtnl::ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, message, "add an address");
}

inline void rename_link(std::uint32_t index, std::string_view name) {
  rtnl::ask(RTM_NEWLINK, 0, rtnl::named_link(name, static_cast<int>(index)), "rename a link");
}

// Both ends with indices of the test's choice: an index can come again.
inline void add_veth_pair(std::string_view name, int index, std::string_view peer, int peer_index) {
  std::string data, message = rtnl::named_link(name, index);
  omnitide::append_attribute(data, VETH_INFO_PEER, rtnl::named_link(peer, peer_index));
  omnitide::append_attribute(message, IFLA_LINKINFO, rtnl::link_info("veth", data));
  rtnl::ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, message, "add a veth pair");
}

// A namespace with the device eth0, whose other end is a device of the thread's namespace.
class PodNamespace {
 public:
  // Addresses with their subnet: "10.0.0.2/24". Both ends are set up.
  PodNamespace(const std::string& host_device, const std::vector<std::string>& addresses) {
    in_new([this] { fd_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); });
    add_veth_pair(host_device, "tmp-eth0");
    std::string message = rtnl::named_link("eth0", static_cast<int>(index_of("tmp-eth0")));
    const int fd = fd_.get();
    omnitide::append_attribute(message, IFLA_NET_NS_FD, omnitide::bytes_of(fd));
    rtnl::ask(RTM_NEWLINK, 0, message, "move a link");
    set_up(index_of(host_device));
    run([&addresses] {
      set_up(index_of("lo"));
      set_up(index_of("eth0"));
      for (const std::string& address : addresses)
        add_address(index_of("eth0"), address);
    });
  }

  // Runs `body` on a thread inside. What it throws is thrown on.
  template <class Body>
  void run(Body body) const {
    on_thread([this, &body] {
      if (::setns(fd_.get(), CLONE_NEWNET) != 0) throw std::runtime_error("cannot enter a namespace");
      body();
    });
  }

 private:
  template <class Body>
  static void on_thread(Body body) {
    std::exception_ptr thrown;
    std::thread thread([&body, &thrown] {
      try {
        body();
      } catch (...) {
        thrown = std::current_exception();
      }
    });
    thread.join();
    if (thrown) std::rethrow_exception(thrown);
  }
  template <class Body>
  static void in_new(Body body) {
    on_thread([&body] {
      if (::unshare(CLONE_NEWNET) != 0) throw std::runtime_error("cannot make a namespace (root is needed)");
      body();
    });
  }

  UniqueFd fd_;
};

}  // namespace omnitide::test
