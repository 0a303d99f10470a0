#include <algorithm>
#include <chrono>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/ethtool.hpp"
#include "discovery/sources/rtnetlink.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/readings.hpp"

using namespace omnitide;
using namespace omnitide::discovery;
using namespace omnitide::test;
using model::NetworkInterface;
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

namespace {

const NetworkInterface& interface(const Reading& reading, std::string_view name) {
  return item(reading.facts.network, &NetworkInterface::name, name);
}

std::string link_message(std::string_view kind, const std::string& data) {
  std::string message = rtnl::named_link("x0", 7);
  append_attribute(message, IFLA_LINKINFO, rtnl::link_info(kind, data));
  return message;
}

}  // namespace

TEST_CASE("an SR-IOV NIC tells driver, PCI address, NUMA node, virtual functions, speed and queues") {
  const Reading reading = read_source(network_source(), fixture("server-numa"));
  CHECK(reading.problems.empty());
  const NetworkInterface& port = interface(reading, "ens1f0");
  CHECK(port.kind == "physical");
  CHECK(port.driver == "i40e");
  CHECK(port.bus_address == "0000:3b:00.0");
  CHECK(port.numa_node == 0);
  CHECK(port.sriov_total == 64U);
  CHECK(port.sriov_current == 2U);
  CHECK(port.speed_bits_per_second == 10'000'000'000ULL);
  CHECK(port.duplex == "full");
  CHECK(port.rx_queues == 4);
  CHECK(port.permanent_mac == "3c:fd:fe:00:00:01");
  CHECK(port.master == "bond0");
  CHECK_FALSE(interface(reading, "ens1f1").speed_bits_per_second);
  CHECK(interface(reading, "ens1f1").carrier == false);
  CHECK(interface(reading, "ens1f0v0").driver == "iavf");
  CHECK_FALSE(interface(reading, "ens1f0v0").sriov_total);
}

TEST_CASE("bonds, VLANs and bridges name what they stand on") {
  const Reading reading = read_source(network_source(), fixture("server-numa"));
  CHECK(interface(reading, "bond0").kind == "bond");
  CHECK(interface(reading, "bond0").stands_on == Names{"ens1f0", "ens1f1"});
  CHECK(interface(reading, "bond0.100").kind == "vlan");
  CHECK(interface(reading, "bond0.100").vlan_id == 100U);
  CHECK(interface(reading, "bond0.100").stands_on == Names{"bond0"});
  CHECK(interface(reading, "bond0.100").master == "br0");
  CHECK(interface(reading, "br0").kind == "bridge");
  CHECK(interface(reading, "br0").stands_on == Names{"bond0.100"});
  CHECK(interface(reading, "vethA").kind == "veth");
  CHECK(interface(reading, "lo").kind == "loopback");
  CHECK_FALSE(has(reading.facts.network, &NetworkInterface::name, "bonding_masters"));
}

TEST_CASE("a virtio NIC has the address of the PCI function below it, a platform NIC that of its device") {
  const Reading guest = read_source(network_source(), fixture("vm-virtio"));
  CHECK(interface(guest, "eth0").bus_address == "0000:00:01.0");
  CHECK(interface(guest, "eth0").driver == "virtio_net");
  CHECK_FALSE(interface(guest, "eth0").speed_bits_per_second);
  const Reading board = read_source(network_source(), fixture("sbc-arm64"));
  CHECK(interface(board, "end0").bus_address == "fd580000.ethernet");
  CHECK(interface(board, "wlan0").kind == "physical");
  CHECK(interface(board, "wlan0").driver == "brcmfmac");
}

TEST_CASE("garbage of interfaces is a problem each, and never an escape sequence in the facts") {
  const Reading reading = read_source(network_source(), fixture("hostile"));
  CHECK(reading.problems.size() >= 4);
  for (const NetworkInterface& each : reading.facts.network) {
    CHECK(each.mac.find('\x1b') == std::string::npos);
    CHECK(each.master.find('\x1b') == std::string::npos);
    CHECK(each.duplex.empty());
  }
}

TEST_CASE("rtnetlink's VLAN id, XDP mode and addresses of a link are read") {
  std::string data;
  const std::uint16_t id = 42;
  append_attribute(data, IFLA_VLAN_ID, bytes_of(id));
  std::string message = link_message("vlan", data), xdp;
  const std::uint8_t native = 1, dormant = 5;
  append_attribute(xdp, IFLA_XDP_ATTACHED, bytes_of(native));
  append_attribute(message, IFLA_XDP, xdp);
  append_attribute(message, IFLA_OPERSTATE, bytes_of(dormant));
  append_attribute(message, IFLA_PERM_ADDRESS, std::string("\x02\xfc\x00\x00\x00\x01", 6));
  append_attribute(message, IFLA_ADDRESS, std::string("\x7f\x00\x00\x01", 4));  // a tunnel's IP address is no MAC
  const auto link = parse_link(message);
  REQUIRE(link);
  CHECK(link->index == 7);
  CHECK(link->kind == "vlan");
  CHECK(link->vlan_id == 42U);
  CHECK(link->xdp_attached == "native");
  CHECK(link->state == "dormant");
  CHECK(link->permanent_mac == "02:fc:00:00:00:01");
  CHECK(link->mac.empty());
}

TEST_CASE("netlink messages cut at any byte are refused or read in part, never beyond their end") {
  std::string data;
  const std::uint16_t id = 42;
  append_attribute(data, IFLA_VLAN_ID, bytes_of(id));
  const std::string message = link_message("vlan", data);
  for (std::size_t size = 0; size < message.size(); ++size) {
    const std::string cut = message.substr(0, size);  // its own allocation: a sanitizer sees a read past it
    const auto link = parse_link(cut);
    CHECK_FALSE((link && link->vlan_id));
  }
  for (std::size_t at = 0; at < message.size(); ++at) {
    std::string wrong = message;
    wrong[at] = '\xff';
    (void)parse_link(wrong);
    (void)parse_address(wrong);
    (void)parse_xdp_features(wrong);
  }
  CHECK_FALSE(parse_link({}));
  CHECK_FALSE(parse_address({}));
  CHECK_FALSE(parse_xdp_features({}));
}

TEST_CASE("an address with an impossible prefix or length is malformed, a temporary one is no fact") {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = 33;
  std::string message(bytes_of(header));
  append_attribute(message, IFA_LOCAL, std::string("\xc0\x00\x02\x01", 4));
  CHECK_FALSE(parse_address(message));
  header.ifa_prefixlen = 24;
  message.replace(0, sizeof header, bytes_of(header));
  CHECK(parse_address(message).value_or(Address{}).text == "192.0.2.1/24");
  header.ifa_family = AF_INET6;
  message.replace(0, sizeof header, bytes_of(header));
  CHECK_FALSE(parse_address(message));
  header.ifa_prefixlen = 64;
  header.ifa_flags = IFA_F_TEMPORARY;
  message = bytes_of(header);
  append_attribute(message, IFA_ADDRESS, std::string("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16));
  REQUIRE(parse_address(message));
  CHECK(parse_address(message)->text.empty());
}

TEST_CASE("a veth pair, its bridge and addresses in a namespace of this machine are found as they are") {
  Reading before, after;
  bool netdev_family = false;
  in_network_namespace([&before, &after, &netdev_family] {
    const Root machine = *Root::open("/");
    before = read_source(network_source(), machine);
    add_veth_pair("omni0", "omni1");
    add_link("omnibr", "bridge");
    const Reading made = read_source(network_source(), machine);
    const std::uint32_t a = interface(made, "omni0").index, b = interface(made, "omni1").index;
    set_up(a);
    set_up(b);
    set_master(b, interface(made, "omnibr").index);
    add_link("omnimv", "macvlan", a);
    add_address(a, "192.0.2.7", 25);
    netdev_family = dump_xdp_features().has_value();
    const auto end = std::chrono::steady_clock::now() + 3s;  // the kernel batches link state for up to a second
    do {
      after = read_source(network_source(), machine);
    } while (interface(after, "omni0").state != "up" && std::chrono::steady_clock::now() < end);
  });
  CHECK(before.facts.network.size() <= 8);  // lo, and what the kernel puts into every namespace
  CHECK_FALSE(has(before.facts.network, &NetworkInterface::name, "eth0"));
  CHECK(after.problems.empty());
  const NetworkInterface& veth = interface(after, "omni0");
  CHECK(veth.kind == "veth");
  CHECK(veth.driver == "veth");
  CHECK(veth.bus_address.empty());
  CHECK(veth.state == "up");
  CHECK(veth.carrier == true);
  CHECK(veth.addresses.at(0) == "192.0.2.7/25");
  CHECK(veth.stands_on == Names{"omni1"});
  CHECK(veth.mac.size() == 17);
  CHECK(veth.mtu == 1500);
  CHECK(veth.speed_bits_per_second == 10'000'000'000ULL);
  CHECK(veth.duplex == "full");
  CHECK(veth.auto_negotiation == false);
  CHECK(veth.flags == Names{"broadcast", "multicast"});
  CHECK_FALSE(veth.driver_version.empty());
  CHECK(std::count(veth.offloads.begin(), veth.offloads.end(), "tx-scatter-gather") == 1);
  CHECK(std::is_sorted(veth.offloads.begin(), veth.offloads.end()));
  CHECK((!veth.xdp_features.empty()) == netdev_family);
  CHECK(interface(after, "omni1").master == "omnibr");
  CHECK(interface(after, "omnibr").kind == "bridge");
  CHECK(interface(after, "omnibr").stands_on == Names{"omni1"});
  CHECK(interface(after, "omnimv").stands_on == Names{"omni0"});
}

TEST_CASE("a link's name that another namespace has too is not mixed up with the device in sysfs") {
  const Reading host = read_source(network_source(), *Root::open("/"));
  for (const NetworkInterface& physical : host.facts.network) {
    if (physical.kind != "physical" || physical.bus_address.empty()) continue;
    Reading inside;
    in_network_namespace([&inside, &physical] {
      add_veth_pair(physical.name, "omni1");
      inside = read_source(network_source(), *Root::open("/"));
    });
    CHECK(interface(inside, physical.name).bus_address.empty());
    CHECK(interface(inside, physical.name).driver == "veth");
  }
}
