// Rtnetlink messages as the kernel makes them, and what follows from them for pods and devices.
#include "ebpf/enforcement/network.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <string>

#include "ebpf/enforcement/locator.hpp"
#include "ebpf/enforcement/roles.hpp"
#include "ebpf/loader/cgroup2.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/told_network.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::ToldNetwork;

namespace {

policy::PlanEndpoint pod(const std::string& name, const std::string& address) {
  policy::PlanEndpoint out;
  out.name = name;
  if (!address.empty()) out.addresses = {*parse_address(address)};
  return out;
}

Options with(const std::vector<std::string>& interfaces) {
  Options out;
  out.interfaces = interfaces;
  return out;
}

}  // namespace

TEST_CASE("a pod is behind the device of its host route, in whatever table") {
  ToldNetwork told;
  told.link(1, "lo", "", {.loopback = true});
  told.link(4, "veth4", "veth");
  told.link(5, "veth5", "veth");
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 0).ifindex == 0);
  told.route("10.0.0.5/32", 4, 1234);
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 0).ifindex == 4);
  told.route("10.0.0.5/32", 5, RT_TABLE_MAIN);
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 4).ifindex == 5);  // the main table wins, also against before
  told.route("10.0.0.5/32", 5, RT_TABLE_MAIN, false);
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 5).ifindex == 4);
  CHECK(locate(pod("a", "10.0.0.6"), told.state, 0).ifindex == 0);
  told.route("fd00::5/128", 5, RT_TABLE_MAIN);
  CHECK(locate(pod("b", "fd00::5"), told.state, 0).ifindex == 5);
}

TEST_CASE("routes to networks, to the node itself, by a gateway or to hardware lead to no pod") {
  ToldNetwork told;
  told.link(2, "eth0", "");
  told.link(4, "veth4", "veth");
  told.link(6, "vxlan0", "vxlan");
  told.route("10.0.0.0/24", 4, RT_TABLE_MAIN);
  told.route("10.0.0.7/32", 4, RT_TABLE_LOCAL);
  told.route("10.0.0.8/32", 4, RT_TABLE_MAIN, true, "10.0.0.1");
  told.route("10.0.0.9/32", 2, RT_TABLE_MAIN);
  told.route("10.0.0.10/32", 6, RT_TABLE_MAIN);
  for (const char* address : {"10.0.0.5", "10.0.0.7", "10.0.0.8"}) {
    const Located found = locate(pod("a", address), told.state, 0);
    CHECK(found.ifindex == 0);
    CHECK(found.reason.find("no host route leads to") == 0);
  }
  CHECK(locate(pod("a", "10.0.0.9"), told.state, 0).reason.find("its way leads to eth0") == 0);
  CHECK(locate(pod("a", "10.0.0.10"), told.state, 0).reason.find("its way leads to vxlan0") == 0);
}

TEST_CASE("a route goes silently with its device, and when the device goes down") {
  ToldNetwork told;
  told.link(4, "veth4", "veth");
  told.route("10.0.0.5/32", 4, RT_TABLE_MAIN);
  told.link(4, "veth4", "veth", {.up = false});
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 0).ifindex == 0);
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 4).ifindex == 4);  // it stays where it was found
  told.link(4, "veth4", "veth");
  told.route("10.0.0.5/32", 4, RT_TABLE_MAIN);
  told.unlink(4);
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 4).ifindex == 0);
  CHECK(told.state.take_removed() == std::set<std::uint32_t>{4});
  CHECK(told.state.take_removed().empty());
  told.link(4, "veth4", "veth");
  CHECK(locate(pod("a", "10.0.0.5"), told.state, 0).ifindex == 0);  // another device
}

TEST_CASE("a pod on a bridge is behind the port that learnt its MAC") {
  ToldNetwork told;
  const Mac mac{2, 0, 0, 0, 0, 5};
  told.link(3, "br0", "bridge");
  told.link(4, "veth4", "veth", {.master = 3});
  told.link(5, "eth1", "", {.master = 3});
  told.address("10.7.0.1/24", 3);
  CHECK(questions(pod("a", "10.7.0.5"), told.state) ==
        std::vector<std::pair<Address, std::uint32_t>>{{*parse_address("10.7.0.5"), 3}});
  CHECK(questions(pod("a", "10.8.0.5"), told.state).empty());
  told.neighbour("10.7.0.5", 3, mac, NUD_STALE);
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 0).ifindex == 0);
  told.learn(3, 4, mac, NUD_PERMANENT);  // a port's own address
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 0).ifindex == 0);
  told.learn(3, 4, mac, NUD_REACHABLE);
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 0).ifindex == 4);
  told.learn(3, 5, mac, NUD_REACHABLE);  // moved behind the uplink: not the uplink's policy
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 0).reason.find("its way leads to eth1") == 0);
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 4).ifindex == 4);
  told.neighbour("10.7.0.5", 3, mac, NUD_FAILED);
  CHECK(locate(pod("a", "10.7.0.5"), told.state, 0).reason.find("no host route") == 0);
}

TEST_CASE("the annotation names a device of any kind, but it has to be there") {
  ToldNetwork told;
  told.link(1, "lo", "", {.loopback = true});
  told.link(7, "eth7", "");
  policy::PlanEndpoint named = pod("a", "10.0.0.5");
  named.interface = "eth7";
  CHECK(locate(named, told.state, 0).ifindex == 7);
  named.interface = "eth8";
  CHECK(locate(named, told.state, 7).reason == "there is no device eth8, which its annotation names");
  named.interface = "lo";
  CHECK(locate(named, told.state, 0).ifindex == 0);
  CHECK(locate(pod("b", ""), told.state, 0).reason == "it has no address yet");
}

TEST_CASE("what is cut off or unknown changes nothing") {
  ToldNetwork told;
  told.link(4, "veth4", "veth");
  for (std::size_t length = 0; length < told.last.size(); ++length) {
    Network state;
    const std::string part = told.last.substr(0, length);
    (void)state.apply({.type = RTM_NEWLINK, .payload = part});
    (void)state.apply({.type = RTM_NEWROUTE, .payload = part});
    (void)state.apply({.type = RTM_NEWNEIGH, .payload = part});
    (void)state.apply({.type = RTM_NEWADDR, .payload = part});
    (void)state.apply({.type = RTM_DELLINK, .payload = part});
    CHECK(state.devices().size() <= 1);
  }
}

TEST_CASE("two pods do not share a device, and who has it keeps it") {
  ToldNetwork told;
  told.link(4, "veth4", "veth");
  told.route("10.0.0.5/32", 4, RT_TABLE_MAIN);
  told.route("10.0.0.6/32", 4, RT_TABLE_MAIN);
  const Endpoints both{{"a", pod("a", "10.0.0.5")}, {"b", pod("b", "10.0.0.6")}};
  const Roles before{{4, {.kind = RoleKind::pod, .endpoint = "b"}}};
  const Assignment out = assign(both, told.state, before, {});
  CHECK(out.roles.at(4).endpoint == "b");
  CHECK(out.pending.at("a") == "its device veth4 is already that of b");
}

TEST_CASE("devices that options name wait closed, never others") {
  ToldNetwork told;
  told.link(1, "lo", "", {.loopback = true});
  told.link(2, "eth0", "");
  told.link(3, "docker0", "bridge");
  told.link(4, "cali4", "veth");
  told.link(5, "veth5", "veth");
  const Assignment out = assign({}, told.state, {}, with({"cali*"}));
  CHECK_FALSE(out.roles.contains(1));
  CHECK(out.roles.at(2).kind == RoleKind::other);
  CHECK(out.roles.at(3).kind == RoleKind::other);
  CHECK(out.roles.at(3).bridge);
  CHECK(out.roles.at(4).kind == RoleKind::closed);
  CHECK(out.roles.at(5).kind == RoleKind::other);
  Options open = with({"cali*"});
  open.interfaces_start_open = true;
  CHECK(assign({}, told.state, {}, open).roles.at(4).kind == RoleKind::other);
}

TEST_CASE("HostPolicy without names is for what has a carrier and carries no pods") {
  ToldNetwork told;
  told.link(2, "eth0", "");
  told.link(3, "eth1", "", {.carrier = false});
  told.link(4, "bond0", "bond");
  told.link(5, "eth2", "", {.master = 4});
  told.link(6, "cni0", "bridge");
  told.link(7, "veth7", "veth", {.master = 6});
  told.link(8, "docker0", "bridge");
  told.link(9, "veth9", "veth", {.master = 8});
  told.link(10, "wg0", "wireguard", {.type = ARPHRD_NONE});
  told.route("10.0.0.5/32", 7, RT_TABLE_MAIN);
  policy::PlanEndpoint host;
  host.name = "host";
  host.kind = policy::EndpointKind::host;
  const Endpoints endpoints{{"a", pod("a", "10.0.0.5")}, {"host", host}};
  const Assignment out = assign(endpoints, told.state, {}, {});
  std::set<std::uint32_t> hosts;
  for (const auto& [ifindex, role] : out.roles) {
    if (role.kind == RoleKind::host) hosts.insert(ifindex);
  }
  CHECK(hosts == std::set<std::uint32_t>{2, 4, 8, 10});
  const Elements elements = elements_of(out.roles, endpoints, Mode::audit);
  CHECK(elements.at(2).flags == (POLICY_HOST | POLICY_AUDIT));
  CHECK(elements.at(8).flags == (POLICY_HOST | POLICY_AUDIT | POLICY_BRIDGE));
  CHECK(elements.at(10).flags == (POLICY_HOST | POLICY_AUDIT | POLICY_NO_L2));
  CHECK(elements.at(7).flags == (POLICY_POD | POLICY_AUDIT));
  CHECK(elements.at(6).flags == POLICY_BRIDGE);
  CHECK_FALSE(elements.contains(9));
  const auto programs = programs_of(out.roles, true, true);
  CHECK(programs.at({2, Hook::in}) == Program::enter);
  CHECK(programs.at({2, Hook::xdp}) == Program::xdp_deny);
  CHECK(programs.at({7, Hook::in}) == Program::from_endpoint);
  CHECK(programs.at({7, Hook::out}) == Program::to_endpoint);
  CHECK(programs.at({9, Hook::out}) == Program::leave);
  CHECK_FALSE(programs.contains({9, Hook::in}));
  CHECK(programs.at({0, Hook::cgroup}) == Program::deliver);
}

TEST_CASE("the names of pinned links come back") {
  for (const LinkKey& key :
       {LinkKey{7, Hook::in}, LinkKey{4000000000U, Hook::out}, LinkKey{2, Hook::xdp}, LinkKey{0, Hook::cgroup}})
    CHECK(parse_link_name(link_name(key)) == key);
  for (const char* name : {"", "7", "7-", "-in", "0-in", "x-in", "7-up", "7-in-new", "99999999999-in"})
    CHECK_FALSE(parse_link_name(name));
}

TEST_CASE("cgroup v2 is found where all of it is mounted") {
  CHECK_FALSE(ebpf::find_cgroup2("24 1 0:22 / /proc rw - proc proc rw\n"));
  CHECK(ebpf::find_cgroup2("30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n") == "/sys/fs/cgroup");
  CHECK(ebpf::find_cgroup2("30 23 0:26 /part /a\\040b rw shared:4 master:1 - cgroup2 cgroup2 rw\n") == "/a b");
  CHECK(ebpf::find_cgroup2("29 23 0:26 /part /run/x rw shared:4 - cgroup2 cgroup2 rw\n"
                           "30 23 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n") ==
        "/sys/fs/cgroup/unified");
  CHECK_FALSE(ebpf::find_cgroup2("30 23 0:26 / /sys/fs/cgroup"));
}

TEST_CASE("a folder that is named has cgroup v2, by itself or beside version 1, or is refused") {
  const Result<std::string> mounted = ebpf::cgroup2_root("");
  REQUIRE(mounted.has_value());
  CHECK(ebpf::cgroup2_root(*mounted).value() == *mounted);
  if (mounted->ends_with("/unified"))
    CHECK(ebpf::cgroup2_root(mounted->substr(0, mounted->rfind('/'))).value() == *mounted);
  for (const std::string other : {"/proc", "/none", "/"}) {
    const Result<std::string> refused = ebpf::cgroup2_root(other);
    REQUIRE(refused.has_error());
    CHECK(refused.error().message == "neither " + other + " nor " + other + "/unified is cgroup v2");
  }
}
