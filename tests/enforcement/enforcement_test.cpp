// The whole of enforcement on devices of a namespace of its own: which programs are attached where, and what happens to
// them when devices, plans, processes and versions come and go.
#include "ebpf/enforcement/enforcement.hpp"

#include <bpf/bpf.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/links.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::attached_programs;
using test::EnforcedNode;
using test::tcx_programs;
using Names = std::vector<std::string>;

namespace {

const Names kFrom{"policy_from_end"}, kTo{"policy_to_endpo"}, kLeave{"policy_leave"}, kEnter{"policy_enter"};

void routed_pod(const std::string& device, const std::string& address) {
  test::add_veth_pair(device, device + "-peer");
  test::set_up(test::index_of(device));
  test::set_up(test::index_of(device + "-peer"));
  test::add_route(address + (address.find(':') == std::string::npos ? "/32" : "/128"), test::index_of(device));
}

bool readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  return ::poll(&poll, 1, 1000) == 1;
}

}  // namespace

TEST_CASE("without a BPF file system there is a clear error, and advice") {
  Options options;
  options.pins = "/tmp/omnitide-no-bpffs/policy";
  const Result<Enforcement> made = Enforcement::open(options);
  REQUIRE(made.has_error());
  CHECK(made.error().code == Code::failed_precondition);
  CHECK(made.error().message.find("is not in a BPF file system") != std::string::npos);
  CHECK(made.error().hint.find("mount -t bpf") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists("/tmp/omnitide-no-bpffs"));
}

TEST_CASE("a pod's device is judged both ways, other devices only where packets leave, lo not at all") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    test::add_veth_pair("docker0", "docker1");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(attached_programs(test::index_of("pod0"), true) == kFrom);
    CHECK(attached_programs(test::index_of("pod0"), false) == kTo);
    CHECK(attached_programs(test::index_of("docker0"), true).empty());
    CHECK(attached_programs(test::index_of("docker0"), false) == kLeave);
    CHECK(attached_programs(1, true).empty());
    CHECK(attached_programs(1, false).empty());
    const Status status = node->status();
    CHECK(status.live);
    CHECK(status.attached_by == (test::has_tcx() ? "tcx" : "clsact"));
    REQUIRE(status.endpoints.size() == 1);
    CHECK(status.endpoints[0].devices == Names{"pod0"});
    const auto element = node.element("pod0");
    REQUIRE(element);
    CHECK(element->flags == POLICY_POD);
    CHECK(element->id == test::index_of("pod0"));
    CHECK(enforcement::decode(element->addresses[0]) == *parse_address("10.0.0.5"));
  });
}

TEST_CASE("what the node's sockets receive is looked at only while a pod has egress rules") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    policy::PlanUpdate plan;
    policy::RuleSet set;
    set.id = 7;
    plan.sets = {set};
    auto pod = node.pod("shop/web", {"10.0.0.5"});
    pod.ingress = 7;
    plan.endpoints = {pod};
    REQUIRE(node->publish(plan, true));
    CHECK_FALSE(std::filesystem::exists(node.pin("links/cgroup")));
    for (int i = 0; i < 2; ++i) {
      policy::PlanUpdate change;
      pod.egress = 7;
      change.endpoints = {pod};
      REQUIRE(node->publish(change, false));
      CHECK(std::filesystem::exists(node.pin("links/cgroup")));
      pod.egress = policy::kOpen;
      change.endpoints = {pod};
      REQUIRE(node->publish(change, false));
      CHECK_FALSE(std::filesystem::exists(node.pin("links/cgroup")));
    }
  });
}

TEST_CASE("without pods nothing is attached, and when the last one goes everything is taken away") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    REQUIRE(node.publish({}));
    CHECK(attached_programs(test::index_of("pod0"), false).empty());
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(attached_programs(test::index_of("pod0"), true) == kFrom);
    test::remove_link(test::index_of("pod0"));
    REQUIRE(node.publish({}));
    CHECK(node.pinned_links().empty());
  });
}

TEST_CASE("the first program of the chain is ours, whoever came before", "[needs-tcx]") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    const UniqueFd stranger = test::pass_program();
    const UniqueFd link(bpf_link_create(stranger.get(), static_cast<int>(test::index_of("pod0")),
                                        static_cast<bpf_attach_type>(46), nullptr));
    REQUIRE(link);
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(tcx_programs(test::index_of("pod0"), true) == Names{"policy_from_end", "stranger"});
  });
}

TEST_CASE("a pod without a device is pending with a reason, until its route comes") {
  test::with_node([](EnforcedNode& node) {
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5", "fd00::5"})}));
    CHECK(node.pending("shop/web") == "no host route leads to 10.0.0.5, and no bridge has learnt it");
    test::add_veth_pair("pod0", "peer0");
    test::set_up(test::index_of("pod0"));
    test::set_up(test::index_of("peer0"));
    test::add_route("fd00::5/128", test::index_of("pod0"));
    CHECK(readable(node->monitor_fd()));
    REQUIRE(node->links_changed());
    CHECK(node.pending("shop/web").empty());
    CHECK(attached_programs(test::index_of("pod0"), true) == kFrom);
  });
}

TEST_CASE("devices that are removed, renamed or come again under the same name or number are followed") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    const std::uint32_t first = test::index_of("pod0");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    test::set_up(first, false);
    test::rename_link(first, "pod1");
    test::set_up(first);
    test::add_route("10.0.0.5/32", first);
    REQUIRE(node->links_changed());
    CHECK(node.devices("shop/web") == Names{"pod1"});
    CHECK(attached_programs(first, true) == kFrom);

    test::remove_link(first);
    REQUIRE(node->links_changed());
    CHECK_FALSE(node.pending("shop/web").empty());
    CHECK(node.pinned_links().empty());
    CHECK_FALSE(node.element_at(first));

    SECTION("the same name") {
      routed_pod("pod1", "10.0.0.5");
      CHECK(test::index_of("pod1") != first);
      REQUIRE(node->links_changed());
      CHECK(node.devices("shop/web") == Names{"pod1"});
    }
    SECTION("the same number") {
      test::add_veth_pair("pod7", static_cast<int>(first), "peer7", 77);
      test::set_up(first);
      test::set_up(77);
      test::add_route("10.0.0.5/32", first);
      REQUIRE(node->links_changed());
      CHECK(node.devices("shop/web") == Names{"pod7"});
    }
    CHECK(attached_programs(test::index_of(node.devices("shop/web").at(0)), true) == kFrom);
    CHECK(attached_programs(test::index_of(node.devices("shop/web").at(0)), false) == kTo);
  });
}

TEST_CASE("a device that goes and comes with the same number in one go is attached anew") {
  test::with_node([](EnforcedNode& node) {
    routed_pod("pod0", "10.0.0.5");
    const std::uint32_t index = test::index_of("pod0");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    test::remove_link(index);
    test::add_veth_pair("pod0", static_cast<int>(index), "peer0", 99);
    test::set_up(index);
    test::set_up(99);
    test::add_route("10.0.0.5/32", index);
    CHECK(attached_programs(index, true).empty());
    REQUIRE(node->links_changed());
    CHECK(attached_programs(index, true) == kFrom);
    CHECK(attached_programs(index, false) == kTo);
  });
}

TEST_CASE("clsact serves as well, beside strangers' filters, and leaves nothing") {
  test::with_node([](EnforcedNode& node) {
    node.options.attach = AttachBy::clsact;
    node.start();
    routed_pod("pod0", "10.0.0.5");
    const std::uint32_t index = test::index_of("pod0");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(node->status().attached_by == "clsact");
    CHECK(tcx_programs(index, true).empty());
    CHECK(test::clsact_programs(index, true) == 1);
    CHECK(test::clsact_programs(index, false) == 1);

    SECTION("the next process replaces the filters in place") {
      const auto before = test::clsact_program(index, true);
      node.start();
      CHECK(test::clsact_program(index, true) == before);
      REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
      CHECK(test::clsact_programs(index, true) == 1);
      CHECK(test::clsact_program(index, true) != before);
    }
    SECTION("a stranger's filter and its qdisc stay") {
      test::add_stranger(index);
      CHECK(test::clsact_programs(index, true) == 2);
      REQUIRE(node->detach());
      CHECK(test::clsact_programs(index, true) == 1);
      return;
    }
    REQUIRE(node->detach());
    CHECK_FALSE(test::has_clsact(index));
  });
}

TEST_CASE("the next process changes over from clsact to tcx where the kernel has it", "[needs-tcx]") {
  test::with_node([](EnforcedNode& node) {
    node.options.attach = AttachBy::clsact;
    node.start();
    routed_pod("pod0", "10.0.0.5");
    const std::uint32_t index = test::index_of("pod0");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(test::clsact_programs(index, true) == 1);
    node.options.attach = AttachBy::automatic;
    node.start();
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(test::clsact_programs(index, true) == 0);
    CHECK_FALSE(test::has_clsact(index));
    CHECK(tcx_programs(index, true) == kFrom);
  });
}

TEST_CASE("a bridge's port is found once the bridge has learnt it, and the kernel can be made to ask") {
  test::with_node([](EnforcedNode& node) {
    test::add_link("br0", "bridge");
    test::set_up(test::index_of("br0"));
    test::add_address(test::index_of("br0"), "10.7.0.1/24");
    const test::PodNamespace pod("pod0", {"10.7.0.5/24"});
    test::set_master(test::index_of("pod0"), test::index_of("br0"));
    REQUIRE(node.publish({node.pod("shop/web", {"10.7.0.5"})}));
    CHECK_FALSE(node.pending("shop/web").empty());
    node->search();
    for (int i = 0; i < 50 && !node.pending("shop/web").empty(); ++i) {
      CHECK(readable(node->monitor_fd()));
      REQUIRE(node->links_changed());
    }
    CHECK(node.devices("shop/web") == Names{"pod0"});
    CHECK(attached_programs(test::index_of("pod0"), true) == kFrom);
    CHECK(attached_programs(test::index_of("br0"), false) == kLeave);
    const auto bridge = node.element("br0");
    REQUIRE(bridge);
    CHECK(bridge->flags == POLICY_BRIDGE);
  });
}

TEST_CASE("named interfaces are closed as soon as they are there, also before the first plan of the node") {
  test::with_node([](EnforcedNode& node) {
    node.options.interfaces = {"cali*"};
    routed_pod("cali1", "10.0.0.5");
    node.start();
    CHECK(attached_programs(test::index_of("cali1"), true) == kFrom);
    REQUIRE(node.element("cali1"));
    CHECK(node.element("cali1")->flags == (POLICY_POD | POLICY_CLOSED));
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"})}));
    CHECK(node.element("cali1")->flags == POLICY_POD);
    test::add_veth_pair("cali2", "peer2");
    REQUIRE(node->links_changed());
    CHECK(node.element("cali2")->flags == (POLICY_POD | POLICY_CLOSED));
    REQUIRE(node->set_mode(Mode::audit));
    CHECK(node.element("cali2")->flags == (POLICY_POD | POLICY_CLOSED | POLICY_AUDIT));
    CHECK(node.element("cali1")->flags == (POLICY_POD | POLICY_AUDIT));
  });
}

TEST_CASE("a device whose pod went is closed or let go, as options say") {
  test::with_node([](EnforcedNode& node) {
    const bool detached = GENERATE(false, true);
    node.options.lost_pod = detached ? LostPod::detached : LostPod::closed;
    node.start();
    routed_pod("pod0", "10.0.0.5");
    routed_pod("pod1", "10.0.0.6");
    REQUIRE(node.publish({node.pod("shop/web", {"10.0.0.5"}), node.pod("shop/db", {"10.0.0.6"})}));
    REQUIRE(node.publish({node.pod("shop/db", {"10.0.0.6"})}));
    CHECK(attached_programs(test::index_of("pod0"), true) == (detached ? Names{} : kFrom));
    CHECK(attached_programs(test::index_of("pod0"), false) == (detached ? kLeave : kTo));
    CHECK(node.element("pod0").has_value() == !detached);
    if (detached) return;
    CHECK(node.element("pod0")->flags == (POLICY_POD | POLICY_CLOSED));
    node.start();  // the next process knows whose it was
    REQUIRE(node.publish({node.pod("shop/db", {"10.0.0.6"})}));
    CHECK(node.element("pod0")->flags == (POLICY_POD | POLICY_CLOSED));
  });
}

TEST_CASE("HostPolicy is for uplinks, or for the devices that it names") {
  test::with_node([](EnforcedNode& node) {
    test::add_link("br0", "bridge");
    test::set_up(test::index_of("br0"));
    test::add_veth_pair("wan0", "wan0-peer");
    test::set_up(test::index_of("wan0"));
    test::set_up(test::index_of("wan0-peer"));
    test::add_address(test::index_of("wan0"), "192.0.2.7/24");
    policy::PlanEndpoint host;
    host.name = "host";
    host.kind = policy::EndpointKind::host;
    REQUIRE(node.publish({host}));
    CHECK(node.devices("host") == Names{"br0"});  // a veth is no uplink
    host.host_interfaces = {"lan*"};
    REQUIRE(node.publish({host}));
    CHECK(node.pending("host") == "the node has no device that it is for");
    host.host_interfaces = {"wan?"};
    REQUIRE(node.publish({host}));
    CHECK(node.devices("host") == Names{"wan0"});
    CHECK(attached_programs(test::index_of("wan0"), true) == kEnter);
    CHECK(attached_programs(test::index_of("wan0"), false) == kLeave);
    CHECK(node.element("wan0")->flags == POLICY_HOST);
    CHECK(node.element("wan0")->id == 0);
    CHECK(node.owns("192.0.2.7"));
    CHECK_FALSE(node.owns("192.0.2.8"));
    test::add_address(test::index_of("wan0"), "192.0.2.8/24");
    REQUIRE(node->links_changed());
    CHECK(node.owns("192.0.2.8"));
  });
}
