// A device that omnitide-cni closed: nothing passes it until the agent's program stands in the guard's place, whether
// the agent runs, starts later, or took the device for something else before.
#include "agent/cni/guard.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include "agent/cni/device.hpp"
#include "ebpf/enforcement/enforcement.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/enforced_node.hpp"
#include "tests/harness/kernel_objects.hpp"
#include "tests/harness/links.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;
using test::attached_programs;
using test::EnforcedNode;
using Names = std::vector<std::string>;

namespace {

const Names kFrom{"policy_from_end"}, kTo{"policy_to_endpo"}, kLeave{"policy_leave"}, kGuard{"policy_closed"};

std::uint32_t pod_device(const std::string& name) {
  test::add_veth_pair(name, name + "-peer");
  test::set_up(test::index_of(name));
  return test::index_of(name);
}

policy::PlanEndpoint pod_on(const std::string& device) {
  policy::PlanEndpoint out = EnforcedNode::pod("shop/" + device, {"10.0.0.9"});
  out.interface = device;
  return out;
}

Names guards(const EnforcedNode& node) {
  Names out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(node.options.pins + "/closed", ignored))
    out.push_back(entry.path().filename());
  return out;
}

bool is_judged(std::uint32_t ifindex) {
  return attached_programs(ifindex, true) == kFrom && attached_programs(ifindex, false) == kTo;
}

}  // namespace

TEST_CASE("a guard stands at both hooks without any agent, and goes when it is taken away") {
  test::with_node([](EnforcedNode& node) {
    const std::uint32_t device = pod_device("pod0");
    REQUIRE(cni::close_device(node.options.pins, device));
    CHECK(attached_programs(device, true) == kGuard);
    CHECK(attached_programs(device, false) == kGuard);
    CHECK(cni::is_guarded(node.options.pins, device));
    REQUIRE(cni::close_device(node.options.pins, device));  // as a runtime may try again
    CHECK(guards(node).size() == 2);
    cni::open_device(node.options.pins, device);
    CHECK_FALSE(cni::is_guarded(node.options.pins, device));
    CHECK(guards(node).empty());
    for (int i = 0; i < 100 && !attached_programs(device, true).empty(); ++i)
      ::usleep(10'000);  // the kernel frees a link after a grace period
    CHECK(attached_programs(device, true).empty());
    CHECK(attached_programs(device, false).empty());
  });
}

TEST_CASE("a running agent puts its programs in the guard's place and keeps the device closed until a pod is known") {
  test::with_node([](EnforcedNode& node) {
    pod_device("pod0");
    REQUIRE(node.publish({pod_on("pod0")}));
    const std::uint32_t device = pod_device("pod1");
    REQUIRE(node->links_changed());
    CHECK(attached_programs(device, false) == kLeave);  // it is nobody's yet
    REQUIRE(cni::close_device(node.options.pins, device));
    CHECK(attached_programs(device, false).front() == kGuard.front());
    REQUIRE(node->links_changed());
    CHECK(is_judged(device));
    CHECK(node.element("pod1")->flags == (POLICY_POD | POLICY_CLOSED));
    CHECK(guards(node).empty());
    policy::PlanUpdate update;
    update.endpoints = {pod_on("pod1")};
    update.endpoints[0].addresses = {*parse_address("10.0.0.10")};
    REQUIRE(node->publish(update, false));
    CHECK(node.element("pod1")->flags == POLICY_POD);
    CHECK(cni::is_guarded(node.options.pins, device));
    cni::open_device(node.options.pins, device);  // too late, it is the agent's
    CHECK(is_judged(device));
  });
}

TEST_CASE("the pod may be known when the guard is seen") {
  test::with_node([](EnforcedNode& node) {
    REQUIRE(node.publish({}));
    const std::uint32_t device = pod_device("pod0");
    REQUIRE(cni::close_device(node.options.pins, device));
    policy::PlanUpdate update;
    update.endpoints = {pod_on("pod0")};
    REQUIRE(node->publish(update, false));
    CHECK(is_judged(device));
    CHECK(node.element("pod0")->flags == POLICY_POD);
    CHECK(node.devices("shop/pod0") == Names{"pod0"});
    CHECK(guards(node).empty());
  });
}

TEST_CASE("an agent that starts later closes what is guarded, an agent that starts anew too") {
  test::with_node([](EnforcedNode& node) {
    const std::uint32_t device = pod_device("pod0");
    REQUIRE(cni::close_device(node.options.pins, device));
    node.start();
    CHECK(attached_programs(device, true) == kGuard);  // before there is a policy
    REQUIRE(node.publish({}));
    CHECK(is_judged(device));
    CHECK(node.element("pod0")->flags == (POLICY_POD | POLICY_CLOSED));
    const std::uint32_t other = pod_device("pod1");
    node.stop();
    REQUIRE(cni::close_device(node.options.pins, other));
    node.start();
    CHECK(attached_programs(other, true) == kGuard);
    REQUIRE(node.publish({pod_on("pod1")}));
    CHECK(is_judged(other));
    CHECK(node.element("pod0")->flags == (POLICY_POD | POLICY_CLOSED));
    CHECK(node.element("pod1")->flags == POLICY_POD);
  });
}

TEST_CASE("pins of devices that are gone are swept by whoever comes first") {
  test::with_node([](EnforcedNode& node) {
    for (const char* name : {"pod0", "pod1"}) {
      const std::uint32_t device = pod_device(name);
      REQUIRE(cni::close_device(node.options.pins, device));
      test::remove_link(device);
    }
    const std::uint32_t stays = pod_device("pod2");
    REQUIRE(cni::close_device(node.options.pins, stays));
    CHECK(guards(node).size() == 6);
    cni::sweep(node.options.pins);
    CHECK(guards(node).size() == 2);
    test::remove_link(stays);
    REQUIRE(node.publish({}));
    CHECK(guards(node).empty());
  });
}

TEST_CASE("what is removed leaves no guard") {
  test::with_node([](EnforcedNode& node) {
    const std::uint32_t device = pod_device("pod0");
    REQUIRE(node.publish({}));
    REQUIRE(cni::close_device(node.options.pins, device));
    node.stop();
    REQUIRE(Enforcement::remove(node.options));
    CHECK_FALSE(std::filesystem::exists(node.options.pins));
    for (int i = 0; i < 100 && !attached_programs(device, true).empty(); ++i)
      ::usleep(10'000);
    CHECK(attached_programs(device, true).empty());
  });
}

TEST_CASE("the node's end of a pod's link is found from inside") {
  test::with_node([](EnforcedNode&) {
    const std::uint32_t device = pod_device("pod0");
    const std::string own = "/proc/self/task/" + std::to_string(::gettid()) + "/ns/net";
    const Result<cni::Device> found = cni::node_end(own, "pod0-peer");  // both ends are here
    REQUIRE(found);
    CHECK(found->ifindex == device);
    CHECK(found->name == "pod0");
    test::add_link("br0", "bridge");
    CHECK(cni::node_end(own, "br0").error().code == Code::unimplemented);
    CHECK(cni::node_end(own, "none").error().code == Code::not_found);
    CHECK(cni::node_end("/nowhere", "eth0").error().code == Code::not_found);
    CHECK(test::index_of("pod0") == device);  // and back where it was
  });
}

TEST_CASE("without a BPF file system nothing can be closed") {
  const Result<> closed = cni::close_device("/tmp/omnitide-no-bpffs/pins", 1);
  REQUIRE(closed.has_error());
  CHECK(closed.error().code == Code::failed_precondition);
  std::filesystem::remove_all("/tmp/omnitide-no-bpffs");
}
