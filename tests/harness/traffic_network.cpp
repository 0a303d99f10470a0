#include "tests/harness/traffic_network.hpp"

#include <fmt/format.h>

#include "tests/harness/network_namespace.hpp"
#include "tests/harness/traffic_command.hpp"

namespace omnitide::test {

namespace {

constexpr const char* kGateway4 = "169.254.1.1";
constexpr const char* kGateway6 = "fe80::1";
constexpr const char* kBridge4 = "10.0.0.1";
constexpr const char* kBridge6 = "fd00::1";

std::vector<Address> addresses(std::initializer_list<const char*> texts) {
  std::vector<Address> out;
  for (const char* text : texts)
    out.push_back(*parse_address(text));
  return out;
}

std::string with_length(const Address& address, unsigned four, unsigned six) {
  return fmt::format("{}/{}", format(address), address.is_v4() ? four : six);
}

void allow_ping_sockets() { set_sysctl("net.ipv4.ping_group_range", "0 2147483647"); }

void set_node_up() {
  set_up(index_of("lo"));
  set_sysctl("net.ipv4.ip_forward", "1");
  set_sysctl("net.ipv4.icmp_ratelimit", "0");
  set_sysctl("net.ipv6.icmp.ratelimit", "0");
  for (const char* scope : {"all", "default"}) {
    set_sysctl(fmt::format("net.ipv4.conf.{}.rp_filter", scope), "0");
    set_sysctl(fmt::format("net.ipv6.conf.{}.forwarding", scope), "1");
    set_sysctl(fmt::format("net.ipv6.conf.{}.accept_dad", scope), "0");
  }
  allow_ping_sockets();
}

}  // namespace

NodeNetwork::NodeNetwork(Topology topology) : topology_(topology) {
  set_node_up();
  outside_ = std::make_unique<PodNamespace>(kUplink, std::vector<std::string>{"10.9.0.254/24", "fd09::254/64"});
  const std::uint32_t uplink = index_of(kUplink);
  add_address(uplink, "10.9.0.1/24");
  add_address(uplink, "fd09::1/64");
  add_route("0.0.0.0/0", uplink, RT_TABLE_MAIN, "10.9.0.254");
  add_route("::/0", uplink, RT_TABLE_MAIN, "fd09::254");
  set_outside_up();
  if (topology_ != Topology::bridge) return;
  set_sysctl("net.bridge.bridge-nf-call-iptables", "1");  // replies on the bridge are to meet address translation
  set_sysctl("net.bridge.bridge-nf-call-ip6tables", "1");
  add_link("br0", "bridge");
  set_up(index_of("br0"));
  add_address(index_of("br0"), fmt::format("{}/16", kBridge4));
  add_address(index_of("br0"), fmt::format("{}/64", kBridge6));
}

void NodeNetwork::set_outside_up() {
  outside_->run([] {
    allow_ping_sockets();
    const std::uint32_t device = index_of("eth0");
    add_address(device, "10.9.0.2/32");
    add_address(device, "fd09::2/128");
    add_address(device, "fe80::254/64");  // asks neighbours for addresses that only a route knows
    add_route("0.0.0.0/0", device, RT_TABLE_MAIN, "10.9.0.1");
    add_route("::/0", device, RT_TABLE_MAIN, "fd09::1");
    command("ip -batch -",
            "route add local 10.1.0.0/16 dev lo\nroute add local 192.0.2.0/24 dev lo\n"
            "route add local 198.51.100.0/24 dev lo\n"
            "route add local fd01::/64 dev lo\nroute add local 2001:db8::/32 dev lo\n");
  });
}

void NodeNetwork::add_pod(const std::string& name, const std::vector<Address>& addresses) {
  const bool routed = topology_ == Topology::routed;
  const std::string device = fmt::format("pod{}", made_++);
  std::vector<std::string> texts;
  for (const Address& address : addresses)
    texts.push_back(routed ? with_length(address, 32, 128) : with_length(address, 16, 64));
  PodNamespace space(device, texts);
  const std::uint32_t index = index_of(device);
  if (routed) {
    set_sysctl(fmt::format("net.ipv4.conf.{}.proxy_arp", device), "1");
    set_sysctl(fmt::format("net.ipv4.neigh.{}.proxy_delay", device), "0");
    add_address(index, fmt::format("{}/64", kGateway6));
    for (const Address& address : addresses)
      add_route(with_length(address, 32, 128), index);
  } else {
    set_master(index, index_of("br0"));
    command(fmt::format("ip link set {} type bridge_slave hairpin on", device));  // for a pod's own Service
  }
  space.run([&addresses, routed] {
    allow_ping_sockets();
    const std::uint32_t eth0 = index_of("eth0");
    for (const Address& address : addresses) {
      const bool four = address.is_v4();
      if (routed && four) add_route(fmt::format("{}/32", kGateway4), eth0);
      const char* gateway = four ? (routed ? kGateway4 : kBridge4) : (routed ? kGateway6 : kBridge6);
      add_route(four ? "0.0.0.0/0" : "::/0", eth0, RT_TABLE_MAIN, gateway);
    }
  });
  pods_.emplace(name, Pod{std::move(space), device});
}

void NodeNetwork::remove_pod(const std::string& name) {
  remove_link(index_of(device(name)));
  pods_.erase(name);
}

const PodNamespace* NodeNetwork::pod(const std::string& name) const {
  const auto found = pods_.find(name);
  return found == pods_.end() ? nullptr : &found->second.space;
}

const std::string& NodeNetwork::device(const std::string& name) const { return pods_.at(name).device; }

std::vector<Address> NodeNetwork::node_addresses() { return addresses({"10.9.0.1", "fd09::1"}); }

std::vector<Address> NodeNetwork::other_node_addresses() { return addresses({"10.9.0.2", "fd09::2"}); }

std::vector<Address> NodeNetwork::masquerade_addresses() const {
  return topology_ == Topology::routed ? node_addresses() : addresses({kBridge4, kBridge6});
}

}  // namespace omnitide::test
