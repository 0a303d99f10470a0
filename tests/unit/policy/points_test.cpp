// What implementations of NetworkPolicy get wrong, by the numbers of the list in docs/policy.md: 1 to 18. Each answer
// is held against the oracle, too (policy_world.hpp).
#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide::policy;

namespace {

World with(const std::string& policies) { return World(conformance_cluster() + policies); }

}  // namespace

TEST_CASE("point 1: an empty podSelector selects the whole namespace") {
  const World world = with(network_policy("x", "deny", "podSelector: {}"));
  CHECK_FALSE(world.reaches("y/a", "x/a"));
  CHECK_FALSE(world.reaches("y/a", "x/c"));
  CHECK(world.reaches("x/a", "y/a"));
}

TEST_CASE("point 2: a missing or empty from or to is any peer") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {}
    policyTypes: [Ingress, Egress]
    ingress: [{ports: [{port: 80}]}]
    egress: [{to: [], ports: [{port: 81}]}])"));
  CHECK(world.reaches("y/a", "x/a", "80"));
  CHECK(world.ingress("192.0.2.1", "x/a", "80"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "81"));
  CHECK(world.reaches("x/a", "y/a", "81"));
  CHECK(world.egress("x/a", "192.0.2.1", "81"));
  CHECK_FALSE(world.egress("x/a", "192.0.2.1", "80"));
}

TEST_CASE("point 3: ingress: [] isolates, ingress: [{}] allows all") {
  World world = with(network_policy("x", "p", "{podSelector: {}, ingress: []}"));
  CHECK_FALSE(world.reaches("x/b", "x/a"));
  world.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{}]}"));
  CHECK(world.reaches("x/b", "x/a"));
  CHECK(world.ingress("192.0.2.1", "x/a", "ICMP"));
}

TEST_CASE("point 4: two selectors in one peer are AND, in two peers OR") {
  World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]}])"));
  CHECK(world.reaches("y/b", "x/a"));
  CHECK_FALSE(world.reaches("y/a", "x/a"));
  CHECK_FALSE(world.reaches("x/b", "x/a"));
  world.apply(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {podSelector: {matchLabels: {pod: b}}}]}])"));
  CHECK(world.reaches("y/b", "x/a"));
  CHECK(world.reaches("y/a", "x/a"));
  CHECK(world.reaches("x/b", "x/a"));
  CHECK_FALSE(world.reaches("z/b", "x/a"));
}

TEST_CASE("point 5: podSelector alone means the policy's own namespace") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])"));
  CHECK(world.reaches("x/b", "x/a"));
  CHECK_FALSE(world.reaches("y/b", "x/a"));
}

TEST_CASE("point 6: namespaceSelector: {} means all namespaces") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{namespaceSelector: {}}]}])"));
  CHECK(world.reaches("x/b", "x/a"));
  CHECK(world.reaches("z/c", "x/a"));
  CHECK_FALSE(world.ingress("192.0.2.1", "x/a"));
}

TEST_CASE("point 7: NotIn and DoesNotExist match absent keys") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {matchExpressions: [{key: absent, operator: NotIn, values: [v]}]}
    ingress: [{from: [{podSelector: {matchExpressions: [{key: absent, operator: DoesNotExist}]}}]}])"));
  CHECK(world.verdict(Direction::ingress, "x/a", "x/b", "80").reason == Verdict::Reason::rule);
  CHECK_FALSE(world.reaches("y/b", "x/a"));
}

TEST_CASE("point 8: policies add up") {
  const World world = with(network_policy("x", "one", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])") +
                           network_policy("x", "two", R"(
    podSelector: {}
    ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 81}]}])"));
  CHECK(world.reaches("x/b", "x/a", "80"));
  CHECK(world.reaches("y/c", "x/a", "81"));
  CHECK_FALSE(world.reaches("y/c", "x/a", "80"));
  CHECK_FALSE(world.reaches("x/b", "x/c", "80"));
}

TEST_CASE("point 9: policyTypes are Ingress, and Egress where egress rules exist") {
  World world = with(network_policy("x", "p", "podSelector: {}"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  CHECK(world.egress("x/a", "y/a"));
  world.apply(network_policy("x", "p", "{podSelector: {}, egress: [{ports: [{port: 81}]}]}"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  CHECK_FALSE(world.egress("x/a", "y/a", "80"));
  CHECK(world.egress("x/a", "y/a", "81"));
}

TEST_CASE("point 10: an egress-only policy leaves ingress open, and the other way round") {
  World world = with(network_policy("x", "p", "{podSelector: {}, policyTypes: [Egress]}"));
  CHECK(world.ingress("y/a", "x/a"));
  CHECK_FALSE(world.egress("x/a", "y/a"));
  // Rules of a direction that the types leave out say nothing.
  world.apply(network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 81}]}]}"));
  CHECK_FALSE(world.ingress("y/a", "x/a"));
  CHECK(world.egress("x/a", "y/a", "80"));
}

TEST_CASE("point 11: both ends must allow") {
  World world = with(network_policy("y", "in", R"(
    podSelector: {}
    ingress: [{from: [{namespaceSelector: {matchLabels: {ns: x}}}]}])") +
                     network_policy("x", "out", "{podSelector: {}, policyTypes: [Egress]}"));
  CHECK(world.ingress("x/a", "y/a"));
  CHECK_FALSE(world.reaches("x/a", "y/a"));
  world.apply(network_policy("x", "out", R"(
    podSelector: {}
    policyTypes: [Egress]
    egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}])"));
  CHECK(world.reaches("x/a", "y/a"));
}

TEST_CASE("point 12: who opens a connection is judged, and no rule is needed for its replies") {
  const World world = with(network_policy("x", "server", R"(
    podSelector: {}
    policyTypes: [Ingress, Egress]
    ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}])"));
  CHECK(world.reaches("y/a", "x/a"));
  CHECK_FALSE(world.reaches("x/a", "y/a"));  // a connection of its own, not a reply
  CHECK(world.plan().sets().at(world.plan().endpoint("x/a")->egress).rules.rules.empty());
}

TEST_CASE("point 13: a ports entry with only a protocol means all its ports") {
  const World world = with(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"));
  CHECK(world.reaches("y/a", "x/a", "80/UDP"));
  CHECK(world.reaches("y/a", "x/a", "65535/UDP"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "80/TCP"));
}

TEST_CASE("point 14: no protocol means TCP") {
  const World world = with(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"));
  CHECK(world.reaches("y/a", "x/a", "80/TCP"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "80/UDP"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "80/SCTP"));
}

TEST_CASE("point 15: a rule with ports never matches ICMP") {
  World world = with(network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}])"));
  CHECK(world.reaches("y/a", "x/a", "7/UDP"));
  CHECK_FALSE(world.ingress("y/a", "x/a", "ICMP"));
  world.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"));
  CHECK(world.ingress("y/a", "x/a", "ICMP"));
}

TEST_CASE("point 16: endPort is inclusive") {
  const World world =
      with(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 1000, endPort: 1003}]}]}"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "999"));
  CHECK(world.reaches("y/a", "x/a", "1000"));
  CHECK(world.reaches("y/a", "x/a", "1003"));
  CHECK_FALSE(world.reaches("y/a", "x/a", "1004"));
  // Only with a numeric port: the API server refuses others, and so does the parser.
  CHECK_THROWS(with(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: http, endPort: 9}]}]}")));
}

TEST_CASE("point 17: a named port resolves on each destination pod, for egress on each peer") {
  const std::string named =
      "spec: {containers: [{name: c, ports: [{name: web, containerPort: 8000}]}]}\n"
      "status: {podIPs: [{ip: 10.0.3.100}]}";
  const std::string other =
      "spec: {containers: [{name: c, ports: [{name: web, containerPort: 9000}]}]}\n"
      "status: {podIPs: [{ip: 10.0.3.101}]}";
  World world(conformance_cluster() + pod("z", "one", "app: web", named) + pod("z", "two", "app: web", other) +
              network_policy("z", "in", "{podSelector: {}, ingress: [{ports: [{port: web}]}]}") +
              network_policy("x", "out", R"(
    podSelector: {}
    policyTypes: [Egress]
    egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}])"));
  CHECK(world.reaches("y/a", "z/one", "8000"));
  CHECK_FALSE(world.reaches("y/a", "z/one", "9000"));
  CHECK(world.reaches("y/a", "z/two", "9000"));
  CHECK_FALSE(world.ingress("y/a", "z/a", "8000"));  // has no such port
  CHECK(world.reaches("x/a", "z/one", "8000"));
  CHECK_FALSE(world.egress("x/a", "z/one", "9000"));
  CHECK(world.reaches("x/a", "z/two", "9000"));
  CHECK_FALSE(world.egress("x/a", "z/two", "8000"));
  CHECK_FALSE(world.egress("x/a", "y/a", "8000"));
  CHECK_FALSE(world.egress("x/a", "192.0.2.1", "8000"));
  // A peer that comes later brings a number of its own.
  world.apply(pod("z", "three", "app: web",
                  "spec: {containers: [{name: c, ports: [{name: web, containerPort: 7000}]}]}\n"
                  "status: {podIPs: [{ip: 10.0.3.102}]}"));
  CHECK(world.egress("x/a", "z/three", "7000"));
  CHECK_FALSE(world.egress("x/a", "z/one", "7000"));
}

TEST_CASE("point 18: a named port whose protocol differs matches nothing") {
  const World world = with(network_policy("x", "p", R"(
    podSelector: {}
    policyTypes: [Ingress, Egress]
    ingress: [{ports: [{port: serve-80-udp}]}]
    egress: [{ports: [{port: serve-81-udp, protocol: TCP}, {port: serve-80-sctp, protocol: SCTP}]}])"));
  CHECK_FALSE(world.ingress("y/a", "x/a", "80/TCP"));
  CHECK_FALSE(world.ingress("y/a", "x/a", "80/UDP"));
  CHECK_FALSE(world.egress("x/a", "y/a", "81/TCP"));
  CHECK_FALSE(world.egress("x/a", "y/a", "81/UDP"));
  CHECK(world.egress("x/a", "y/a", "80/SCTP"));
}
