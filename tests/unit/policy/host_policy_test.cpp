// HostPolicy: what may reach or leave the device itself.
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide::policy;

namespace {

const std::string kNode = "---\napiVersion: v1\nkind: Node\nmetadata: {name: edge-1, labels: {site: hall-3}}\n";
constexpr const char* kRules = R"(
    nodeSelector: {matchLabels: {site: hall-3}}
    interfaces: [eth0]
    deny: [198.51.100.0/24]
    failSafe: {ingress: [{port: 22}], egress: []}
    ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 443}]}])";

}  // namespace

TEST_CASE("a HostPolicy makes the host an endpoint: deny list, fail-safe ports, rules, then nothing") {
  const World world(kNode + host_policy("edge", kRules), "edge-1");
  CHECK(world.host(Direction::ingress, "192.0.2.7", "443"));
  CHECK_FALSE(world.host(Direction::ingress, "192.0.2.7", "80"));
  CHECK_FALSE(world.host(Direction::ingress, "203.0.113.1", "443"));
  CHECK(world.host(Direction::ingress, "203.0.113.1", "22"));
  CHECK_FALSE(world.host(Direction::ingress, "198.51.100.9", "22"));  // the deny list comes first
  CHECK_FALSE(world.host(Direction::egress, "198.51.100.9", "443"));
  CHECK(world.host(Direction::egress, "203.0.113.1", "443"));  // egress is not isolated
  REQUIRE(world.plan().endpoint("host") != nullptr);
  CHECK(world.plan().endpoint("host")->host_interfaces == std::vector<std::string>{"eth0"});
  CHECK(world.plan().endpoint("host")->egress == kOpen);
  CHECK(world.verdict(Direction::ingress, "host", "198.51.100.9", "22").reason == Verdict::Reason::deny_list);
}

TEST_CASE("a HostPolicy of other nodes, or of a node that is not known, does nothing here") {
  CHECK(World(kNode + host_policy("edge", kRules), "edge-2").plan().endpoint("host") == nullptr);
  CHECK(World(host_policy("edge", kRules), "edge-1").plan().endpoint("host") == nullptr);
  CHECK(World(host_policy("all", "{nodeSelector: {}}"), "edge-1").plan().endpoint("host") != nullptr);
  CHECK(World(host_policy("all", "{nodeSelector: {}}"), "").plan().endpoint("host") == nullptr);
}

TEST_CASE("HostPolicies add up, and the host follows its own labels") {
  World world(kNode + host_policy("edge", kRules) + host_policy("more", R"(
    nodeSelector: {}
    interfaces: [eth1]
    deny: [203.0.113.128/25]
    ingress: [{ports: [{port: 8080}]}])"),
              "edge-1");
  CHECK(world.host(Direction::ingress, "203.0.113.1", "8080"));
  CHECK(world.host(Direction::ingress, "192.0.2.7", "443"));
  CHECK_FALSE(world.host(Direction::ingress, "203.0.113.200", "8080"));
  CHECK(world.plan().endpoint("host")->host_interfaces == std::vector<std::string>{"eth0", "eth1"});
  CHECK(world.plan().host_deny().size() == 2);
  const PlanUpdate update = world.apply("---\napiVersion: v1\nkind: Node\nmetadata: {name: edge-1}\n");
  CHECK(update.host_deny_changed);
  CHECK_FALSE(world.host(Direction::ingress, "192.0.2.7", "443"));
  CHECK(world.host(Direction::ingress, "203.0.113.1", "8080"));
  world.remove(ObjectKey::Kind::host_policy, "", "more");
  CHECK(world.plan().endpoint("host") == nullptr);
  CHECK(world.plan().host_deny().empty());
}

TEST_CASE("a long deny list is one list, and nothing else grows by it") {
  HostPolicy policy;
  policy.name = "blocked";
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    omnitide::Address address = *omnitide::parse_address("203.0.0.0");
    address.bytes[13] = static_cast<std::uint8_t>(i >> 16U);
    address.bytes[14] = static_cast<std::uint8_t>(i >> 8U);
    address.bytes[15] = static_cast<std::uint8_t>(i);
    policy.deny.push_back(omnitide::host_prefix(address));
  }
  Compiler compiler({.node_name = "edge-1"});
  const auto update =
      compiler.apply({.upserts = {std::make_shared<const Object>(policy)}, .removals = {}, .relocated = {}});
  REQUIRE(update);
  CHECK(update->host_deny.size() == 100'000);
  CHECK(compiler.use().deny == 100'000);
  CHECK(compiler.use().cidrs == 2);
  CHECK(update->locations.size() == 2);
}
