// ClusterNetworkPolicy: tiers, precedence, Pass, and what fails closed.
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide::policy;

namespace {

World with(const std::string& policies) { return World(conformance_cluster() + policies); }

// A policy for all pods, with ingress rules.
std::string for_all(const std::string& name, const std::string& tier, int priority, const std::string& ingress) {
  return cluster_policy(name, "{tier: " + tier + ", priority: " + std::to_string(priority) +
                                  ", subject: {namespaces: {}}, ingress: [" + ingress + "]}");
}

constexpr const char* kDenyY = R"({name: deny-y, action: Deny, from: [{namespaces: {matchLabels: {ns: "y"}}}]})";
constexpr const char* kAcceptY = R"({action: Accept, from: [{namespaces: {matchLabels: {ns: "y"}}}]})";
constexpr const char* kPassY = R"({action: Pass, from: [{namespaces: {matchLabels: {ns: "y"}}}]})";
constexpr const char* kDenyAll = "{action: Deny, from: [{namespaces: {}}]}";

}  // namespace

TEST_CASE("a ClusterNetworkPolicy isolates nobody by itself") {
  const World world = with(for_all("c", "Admin", 5, kAcceptY));
  CHECK(world.reaches("z/a", "x/a"));
  CHECK(world.ingress("192.0.2.1", "x/a"));
}

TEST_CASE("the Admin tier comes before NetworkPolicy") {
  const std::string isolated = network_policy("x", "p", "podSelector: {}");
  const std::string open = network_policy("x", "p", "{podSelector: {}, ingress: [{}]}");
  CHECK(with(isolated + for_all("c", "Admin", 5, kAcceptY)).ingress("y/a", "x/a"));
  CHECK_FALSE(with(isolated + for_all("c", "Admin", 5, kAcceptY)).ingress("z/a", "x/a"));
  CHECK_FALSE(with(open + for_all("c", "Admin", 5, kDenyY)).ingress("y/a", "x/a"));
  CHECK(with(open + for_all("c", "Admin", 5, kDenyY)).ingress("z/a", "x/a"));
}

TEST_CASE("the Baseline tier comes behind NetworkPolicy, which is final for the pods that it selects") {
  World world = with(for_all("c", "Baseline", 5, kDenyY));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  CHECK(world.ingress("z/a", "x/a"));
  world.apply(network_policy("x", "p", R"({podSelector: {matchLabels: {pod: a}}, ingress: [{}]})"));
  CHECK(world.ingress("y/a", "x/a"));
  CHECK_FALSE(world.ingress("y/a", "x/b"));
  // Final, too, where it denies.
  world.apply(for_all("c", "Baseline", 5, kAcceptY));
  world.apply(network_policy("x", "p", R"({podSelector: {matchLabels: {pod: a}}})"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  // Of the other direction NetworkPolicy says nothing, and Baseline goes on.
  world.apply(for_all("c", "Baseline", 5, kDenyY));
  world.apply(network_policy("x", "p", "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress]}"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
}

TEST_CASE("the lower priority wins, then the order of the rules") {
  CHECK(with(for_all("a", "Admin", 7, kDenyY) + for_all("b", "Admin", 5, kAcceptY)).ingress("y/a", "x/a"));
  CHECK_FALSE(with(for_all("a", "Admin", 5, kDenyY) + for_all("b", "Admin", 7, kAcceptY)).ingress("y/a", "x/a"));
  CHECK(with(for_all("a", "Admin", 5, std::string(kAcceptY) + ", " + kDenyY)).ingress("y/a", "x/a"));
  CHECK_FALSE(with(for_all("a", "Admin", 5, std::string(kDenyY) + ", " + kAcceptY)).ingress("y/a", "x/a"));
  // The same priority: by name, so that all nodes say the same.
  CHECK(with(for_all("a", "Admin", 5, kAcceptY) + for_all("b", "Admin", 5, kDenyY)).ingress("y/a", "x/a"));
}

TEST_CASE("Pass leaves its tier") {
  const std::string admin = for_all("a", "Admin", 1, std::string(kPassY) + ", " + kDenyAll);
  World world = with(admin);
  CHECK(world.ingress("y/a", "x/a"));
  CHECK_FALSE(world.ingress("z/a", "x/a"));
  world.apply(network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {}}]}])"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));  // NetworkPolicy is asked next, and says no
  world.remove(ObjectKey::Kind::network_policy, "x", "p");
  world.apply(for_all("b", "Baseline", 1, kDenyY));
  CHECK_FALSE(world.ingress("y/a", "x/a"));  // then Baseline
  world.apply(for_all("b", "Baseline", 1, std::string(kPassY) + ", " + kDenyY));
  CHECK(world.ingress("y/a", "x/a"));  // which passes to the default, allow
}

TEST_CASE("a peer that is not known makes its whole rule fail closed") {
  const auto egress = [](const std::string& rules) {
    return with(cluster_policy(
        "c", "{tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {ns: x}}}, egress: [" + rules + "]}"));
  };
  const std::string names = "domainNames: [\"*.example.com\"]";
  const std::string deny_y = R"({action: Deny, to: [{namespaces: {matchLabels: {ns: "y"}}}]})";
  // Accept: matches nothing, also not by its other peers.
  CHECK_FALSE(egress("{action: Accept, to: [{namespaces: {}}, {" + names + "}]}, " + deny_y).egress("x/a", "y/a"));
  // A later field, in Deny and Pass: denies everything, whatever its ports and other peers.
  const std::string later =
      "{action: Pass, to: [{namespaces: {}}, {serviceAccounts: {}}], protocols: [{tcp: "
      "{destinationPort: {number: 80}}}]}";
  CHECK_FALSE(egress(later).egress("x/a", "y/a", "443"));
  CHECK_FALSE(egress(later).egress("x/a", "192.0.2.1", "ICMP"));
  CHECK(egress(later).ingress("y/a", "x/a"));
}

TEST_CASE("networks match pods and ICMP too") {
  const World world = with(cluster_policy("c", R"(
    {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {ns: x}}},
     egress: [{action: Deny, to: [{networks: [10.0.2.0/24, "fd00::3:0/112"]}]}]})"));
  CHECK_FALSE(world.egress("x/a", "y/a"));
  CHECK_FALSE(world.egress("x/a", "y/a", "ICMP"));
  CHECK_FALSE(world.egress("x/a", "fd00::3:1"));
  CHECK(world.egress("x/a", "z/a"));
}

TEST_CASE("nodes are known by their addresses, host-network pods on them, too") {
  const std::string nodes =
      "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1, labels: {zone: one}}\n"
      "status: {addresses: [{type: InternalIP, address: 10.9.0.1}, {type: Hostname, address: node-1}]}\n"
      "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-2}\n"
      "status: {addresses: [{type: InternalIP, address: 10.9.0.2}]}\n";
  World world = with(nodes + cluster_policy("c", R"(
    {tier: Admin, priority: 1, subject: {namespaces: {}},
     egress: [{action: Deny, to: [{nodes: {matchLabels: {zone: one}}}]}]})"));
  CHECK_FALSE(world.egress("x/a", "10.9.0.1"));
  CHECK(world.egress("x/a", "10.9.0.2"));
  world.apply(
      "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-2, labels: {zone: one}}\n"
      "status: {addresses: [{type: InternalIP, address: 10.9.0.2}]}\n");
  CHECK_FALSE(world.egress("x/a", "10.9.0.2"));
}

TEST_CASE("destinationNamedPort takes the protocol that the port has") {
  const World world = with(cluster_policy("c", R"(
    {tier: Admin, priority: 1, subject: {namespaces: {}},
     ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: serve-80-udp}]}],
     egress: [{action: Deny, to: [{namespaces: {}}], protocols: [{destinationNamedPort: serve-81-sctp}]}]})"));
  CHECK_FALSE(world.ingress("y/a", "x/a", "80/UDP"));
  CHECK(world.ingress("y/a", "x/a", "80/TCP"));
  CHECK_FALSE(world.egress("y/a", "x/a", "81/SCTP"));
  CHECK(world.egress("y/a", "x/a", "81/TCP"));
}

TEST_CASE("the rule that decides is named by policy, place and name") {
  const World world = with(network_policy("x", "p", "{podSelector: {}, ingress: [{}]}") +
                           for_all("c", "Admin", 5, std::string(kPassY) + ", " + kDenyY));
  const Verdict pass = world.verdict(Direction::ingress, "x/a", "y/a", "80");
  const RuleOrigin* by = world.compiler().rule_origin(pass.origin);
  REQUIRE(by != nullptr);
  CHECK(describe(by->policy) == "NetworkPolicy x/p");
  CHECK(by->where.file == "world.yaml");
  CHECK(by->where.line > 0);
  const World denied = with(for_all("c", "Admin", 5, std::string(kPassY).replace(9, 4, "Deny") + ", " + kDenyY));
  CHECK(denied.compiler().rule_origin(denied.verdict(Direction::ingress, "x/a", "y/a", "80").origin)->index == 0);
}
