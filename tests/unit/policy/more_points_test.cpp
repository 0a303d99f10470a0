// What implementations of NetworkPolicy get wrong, by the numbers of the list in docs/policy.md: 19 to 35.
#include <algorithm>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide;
using namespace omnitide::policy;

namespace {

World with(const std::string& policies) { return World(conformance_cluster() + policies); }

constexpr const char* kFromBlock = R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{ipBlock: {cidr: 10.0.2.0/24, except: [10.0.2.2/32]}}]}])";

}  // namespace

TEST_CASE("point 19: except narrows its own block only") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress:
    - from:
      - ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}
      - ipBlock: {cidr: 192.0.2.192/26})"));
  CHECK(world.ingress("192.0.2.127", "x/a"));
  CHECK_FALSE(world.ingress("192.0.2.128", "x/a"));
  CHECK_FALSE(world.ingress("192.0.2.191", "x/a"));
  CHECK(world.ingress("192.0.2.192", "x/a"));
  CHECK(world.ingress("192.0.2.255", "x/a"));
  CHECK_FALSE(world.ingress("192.0.3.0", "x/a"));
}

TEST_CASE("point 20: ipBlock matches pod addresses too") {
  const World world = with(network_policy("x", "p", kFromBlock));
  CHECK(world.reaches("y/a", "x/a"));
  CHECK_FALSE(world.reaches("y/b", "x/a"));
  CHECK(world.reaches("y/c", "x/a"));
  CHECK_FALSE(world.reaches("z/a", "x/a"));
}

TEST_CASE("point 21: the host bits of a CIDR are masked") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{ipBlock: {cidr: 192.0.2.77/24}}]}])"));
  CHECK(world.ingress("192.0.2.1", "x/a"));
  CHECK_FALSE(world.ingress("192.0.3.1", "x/a"));
}

TEST_CASE("point 22: SCTP-only rules isolate, and never open TCP") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{ports: [{port: 80, protocol: SCTP}]}])"));
  CHECK(world.reaches("y/a", "x/a", "80/SCTP"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "80/TCP"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "80/UDP"));
}

TEST_CASE("point 23: rules speak of the pod behind a Service, not of the Service's address and port") {
  // The Service 172.16.0.10:80 stands for y/a at port 8080. What is judged is what address translation makes of it.
  const World world = with(network_policy("x", "p", R"(
    podSelector: {}
    policyTypes: [Egress]
    egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 8080}]}])"));
  CHECK(world.reaches("x/a", "y/a", "8080"));
  CHECK_FALSE(world.egress("x/a", "172.16.0.10", "80"));
  CHECK_FALSE(world.egress("x/a", "y/a", "80"));
}

TEST_CASE("point 24: a pod reaches itself by its own address") {
  const World world =
      with(network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress, Egress]}") + cluster_policy("c", R"(
    {tier: Admin, priority: 0, subject: {namespaces: {}},
     ingress: [{action: Deny, from: [{namespaces: {}}]}], egress: [{action: Deny, to: [{networks: [0.0.0.0/0]}]}]})"));
  CHECK(world.reaches("x/a", "x/a"));
  CHECK(world.reaches("x/a", "fd00::1:1"));
  CHECK_FALSE(world.reaches("x/a", "x/b"));
}

TEST_CASE("point 25: host-network pods are neither subject nor pod peer") {
  const World world(conformance_cluster() +
                    pod("x", "host", "pod: b", "spec: {hostNetwork: true}\nstatus: {podIPs: [{ip: 10.9.0.1}]}") +
                    network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])"));
  CHECK(world.plan().endpoint("x/host") == nullptr);
  CHECK(world.reaches("x/b", "x/a"));
  CHECK_FALSE(world.ingress("10.9.0.1", "x/a"));
}

TEST_CASE("point 26: a node's address alone opens nothing; that the own node's sockets pass is the data path's") {
  const std::string node =
      "---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n"
      "status: {addresses: [{type: InternalIP, address: 10.9.0.1}]}\n";
  World world(conformance_cluster() + node + network_policy("x", "p", "podSelector: {}"));
  CHECK_FALSE(world.ingress("10.9.0.1", "x/a"));
  world.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.9.0.0/16}}]}]}"));
  CHECK(world.ingress("10.9.0.1", "x/a"));
}

TEST_CASE("point 27: Succeeded and Failed pods leave every set at once") {
  World world = with(network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])"));
  CHECK(world.ingress("10.0.1.2", "x/a"));
  const PlanUpdate update =
      world.apply(pod("x", "b", "pod: b", "status: {phase: Succeeded, podIPs: [{ip: 10.0.1.2}]}"));
  CHECK_FALSE(world.ingress("10.0.1.2", "x/a"));
  CHECK(world.plan().endpoint("x/b") == nullptr);
  CHECK(update.gone_endpoints == std::vector<std::string>{"x/b"});
  CHECK(update.gone_locations.size() == 2);
  world.apply(pod("x", "c", "pod: b", "status: {phase: Failed, podIPs: [{ip: 10.0.1.3}]}"));
  CHECK_FALSE(world.ingress("10.0.1.3", "x/a"));
}

TEST_CASE("point 28: terminating pods stay governed") {
  World world = with(network_policy("x", "p", "podSelector: {}"));
  world.apply(
      "apiVersion: v1\nkind: Pod\nmetadata: {namespace: x, name: a, labels: {pod: a}, "
      "deletionTimestamp: \"2026-01-01T00:00:00Z\"}\nstatus: {phase: Running, podIPs: [{ip: 10.0.1.1}]}\n");
  CHECK_FALSE(world.ingress("y/a", "x/a"));
}

TEST_CASE("point 29: a new pod's rules, and others' rows for it, come in the step that brings its address") {
  World world = with(network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {matchLabels: {pod: new}}}]}])"));
  const PlanUpdate update =
      world.apply(pod("x", "new", "pod: new", "status: {phase: Running, podIPs: [{ip: 10.0.1.9}]}"));
  REQUIRE(update.endpoints.size() == 1);
  CHECK(update.endpoints.front().ingress != kOpen);
  REQUIRE(update.locations.size() == 1);
  CHECK(std::ranges::any_of(update.rows, [&](const PeerRow& row) {
    return row.identity == update.locations.front().identity && row.set == world.plan().endpoint("x/a")->ingress;
  }));
  CHECK_FALSE(world.ingress("y/a", "x/new"));
  CHECK(world.reaches("x/new", "x/a"));
}

TEST_CASE("point 30: connections keep their verdict where all NetworkPolicies of a pod say so") {
  const std::string keep =
      "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: x, "
      "name: keep, annotations: {omnitide.io/established: keep}}\nspec: {podSelector: {}}\n";
  World world = with(keep);
  CHECK(world.plan().endpoint("x/a")->keep_established);
  CHECK_FALSE(world.plan().endpoint("y/a")->keep_established);
  world.apply(network_policy("x", "other", "podSelector: {matchLabels: {pod: a}}"));
  CHECK_FALSE(world.plan().endpoint("x/a")->keep_established);
  CHECK(world.plan().endpoint("x/b")->keep_established);
}

TEST_CASE("point 31: a pod is isolated until the last policy that selects it goes") {
  World world = with(network_policy("x", "one", "podSelector: {}") +
                     network_policy("x", "two", "podSelector: {matchLabels: {pod: a}}"));
  world.remove(ObjectKey::Kind::network_policy, "x", "one");
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  CHECK(world.ingress("y/a", "x/b"));
  world.remove(ObjectKey::Kind::network_policy, "x", "two");
  CHECK(world.ingress("y/a", "x/a"));
  CHECK(world.plan().endpoint("x/a")->ingress == kOpen);
}

TEST_CASE("point 32: labels of pods and namespaces count, in both roles") {
  World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {role: server}}
    ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {role: client}}}]}])"));
  CHECK(world.ingress("y/a", "x/a"));
  world.apply(pod("x", "a", "role: server", "status: {podIPs: [{ip: 10.0.1.1}]}"));  // as subject
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  world.apply(pod("y", "a", "role: client", "status: {podIPs: [{ip: 10.0.2.1}]}"));  // as peer
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  world.apply("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: \"y\", labels: {team: blue}}\n");
  CHECK(world.ingress("y/a", "x/a"));
  world.apply("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: \"y\", labels: {team: red}}\n");
  CHECK_FALSE(world.ingress("y/a", "x/a"));

  world.apply(cluster_policy("c", R"(
    {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {team: red}}},
     ingress: [{action: Deny, from: [{namespaces: {}}]}]})"));
  CHECK_FALSE(world.ingress("x/a", "y/b"));
  world.apply("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: \"y\"}\n");
  CHECK(world.ingress("x/a", "y/b"));
}

TEST_CASE("point 33: each address of a pod counts") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}, {ipBlock: {cidr: "fd00::2:0/112"}}]}])"));
  CHECK(world.ingress("10.0.1.2", "x/a"));
  CHECK(world.ingress("fd00::1:2", "x/a"));
  CHECK_FALSE(world.ingress("fd00::1:3", "x/a"));
  CHECK(world.ingress("fd00::2:3", "x/a"));
  CHECK_FALSE(world.ingress("10.0.2.3", "x/a"));
  CHECK(world.plan().endpoint("x/a")->addresses.size() == 2);
}

TEST_CASE("point 34: fragments and ICMP errors have no rules: they follow the flow that the rules judged") {
  const World world = with(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"));
  CHECK(world.reaches("y/a", "x/a", "80"));
  CHECK_FALSE(world.ingress("y/a", "x/a", "ICMP"));  // a flow of its own
  const Plan::Set& set = world.plan().sets().at(world.plan().endpoint("x/a")->ingress);
  CHECK(std::ranges::all_of(set.rules.ports, [](const PortRow& row) { return row.protocol == 6; }));
}

TEST_CASE("point 35: a namespace whose labels are not known matches no selector that asks for one") {
  const std::string stranger = pod("ghost", "a", "pod: a", "status: {podIPs: [{ip: 10.0.8.1}]}");
  World world(conformance_cluster() + stranger + network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [z]}]}}]}])"));
  CHECK(world.ingress("y/a", "x/a"));
  CHECK_FALSE(world.ingress("ghost/a", "x/a"));
  world.apply(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ghost}}}]}])"));
  CHECK_FALSE(world.ingress("ghost/a", "x/a"));
  world.apply(network_policy("x", "p", R"(
    {podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{namespaceSelector: {}}]}]})"));
  CHECK(world.ingress("ghost/a", "x/a"));  // every namespace is every namespace
  world.apply(network_policy("ghost", "own", "podSelector: {}"));
  CHECK_FALSE(world.ingress("y/a", "ghost/a"));  // selected by its namespace's name
}
