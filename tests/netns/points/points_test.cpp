// What implementations of NetworkPolicy get wrong, points 1 to 18, by real packets between namespaces. The tests of
// tests/unit/policy have the same numbers. Each answer is held against the plan and the oracle, too.
#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"

using namespace omnitide::test;
using omnitide::policy::network_policy;

TEST_CASE("without policies everybody reaches everybody, over every protocol and both families") {
  with_cluster([](Cluster& cluster) {
    CHECK(cluster.wrong({
              "x/a -> x/b 80",
              "x/a -> z/c 81",
              "x/a -> y/b 80/UDP",
              "x/a -> y/b 80/SCTP",
              "x/a -> y/b ICMP",
              "x/a -> x/a 80",
              "x/a -> x/a 80/UDP",
              "x/a -> y/far 80",
              "x/a -> 192.0.2.1 80/UDP",
              "x/a -> 2001:db8::1 ICMP",
              "x/a -> 192.0.2.1 80/SCTP",
              "y/far -> x/a 80",
              "192.0.2.1 -> x/a 80/SCTP",
              "2001:db8::7 -> x/a 80/UDP",
              "2001:db8::7 -> x/a ICMP",
              "node -> x/a 80",
              "node -> x/a 80/UDP",
              "node -> x/a ICMP",
              "node-2 -> x/a 80",
              "x/a -> node 80",
              "x/a -> node-2 81/UDP",
          }) == Lines{});
  });
}

TEST_CASE("point 1: an empty podSelector selects the whole namespace") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "deny", "podSelector: {}"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "y/a -x x/c 80/UDP", "x/b -x x/a 80/SCTP", "x/a -> y/a 80"}) == Lines{});
  });
}

TEST_CASE("point 2: a missing or empty from or to is any peer") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{ports: [{port: 80}]}]
      egress: [{to: [], ports: [{port: 81}]}])"));
    CHECK(cluster.wrong({"y/a -> x/a 80", "192.0.2.1 -> x/a 80", "2001:db8::1 -> x/a 80", "y/a -x x/a 81",
                         "x/a -> y/a 81", "x/a -> 192.0.2.1 81", "x/a -x 192.0.2.1 80", "x/a -x y/a 80"}) == Lines{});
  });
}

TEST_CASE("point 3: ingress: [] isolates, ingress: [{}] allows all") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: []}"));
    CHECK(cluster.wrong({"x/b -x x/a 80", "192.0.2.1 -x x/a ICMP"}) == Lines{});
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{}]}"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "192.0.2.1 -> x/a ICMP"}) == Lines{});
  });
}

TEST_CASE("point 4: two selectors in one peer are AND, in two peers OR") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]}])"));
    CHECK(cluster.wrong({"y/b -> x/a 80", "y/a -x x/a 80", "x/b -x x/a 80"}) == Lines{});
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {podSelector: {matchLabels: {pod: b}}}]}])"));
    CHECK(cluster.wrong({"y/b -> x/a 80", "y/a -> x/a 80", "x/b -> x/a 80", "z/b -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 5: podSelector alone means the policy's own namespace") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "y/b -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 6: namespaceSelector: {} means all namespaces, and no address that is no pod's") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{namespaceSelector: {}}]}])"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "z/c -> x/a 80", "y/far -> x/a 80", "192.0.2.1 -x x/a 80",
                         "node-2 -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 7: NotIn and DoesNotExist match absent keys") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchExpressions: [{key: absent, operator: NotIn, values: [v]}]}
      ingress: [{from: [{podSelector: {matchExpressions: [{key: absent, operator: DoesNotExist}]}}]}])"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "y/b -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 8: policies add up") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "one", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])") +
                  network_policy("x", "two", R"(
      podSelector: {}
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}], ports: [{port: 81}]}])"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "y/c -> x/a 81", "y/c -x x/a 80", "x/b -x x/c 80"}) == Lines{});
  });
}

TEST_CASE("point 9: policyTypes are Ingress, and Egress where egress rules exist") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "podSelector: {}"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "x/a -> y/a 80"}) == Lines{});
    cluster.apply(network_policy("x", "p", "{podSelector: {}, egress: [{ports: [{port: 81}]}]}"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "x/a -x y/a 80", "x/a -> y/a 81"}) == Lines{});
  });
}

TEST_CASE("point 10: an egress-only policy leaves ingress open, and the other way round") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, policyTypes: [Egress]}"));
    CHECK(cluster.wrong({"y/a -> x/a 80", "y/a -> x/a 80/UDP", "x/a -x y/a 80", "x/a -x 192.0.2.1 80/UDP"}) == Lines{});
    cluster.apply(
        network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress], egress: [{ports: [{port: 81}]}]}"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "x/a -> y/a 80", "x/a -> 192.0.2.1 80/UDP"}) == Lines{});
  });
}

TEST_CASE("point 11: both ends must allow") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("y", "in", R"(
      podSelector: {}
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: x}}}]}])") +
                  network_policy("x", "out", "{podSelector: {}, policyTypes: [Egress]}"));
    CHECK(cluster.wrong({"x/a -x y/a 80", "z/a -x y/a 80", "z/a -> x/a 80"}) == Lines{});
    cluster.apply(network_policy("x", "out", R"(
      podSelector: {}
      policyTypes: [Egress]
      egress: [{to: [{namespaceSelector: {matchLabels: {ns: "y"}}}]}])"));
    CHECK(cluster.wrong({"x/a -> y/a 80", "x/a -x z/a 80"}) == Lines{});
  });
}

TEST_CASE("point 12: replies need no rule, and are no leave to open a connection") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "server", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: "y"}}}, {ipBlock: {cidr: 192.0.2.0/24}}]}])"));
    CHECK(cluster.wrong({"y/a -> x/a 80", "y/a -> x/a 80/UDP", "y/a -> x/a 80/SCTP", "y/a -> x/a ICMP",
                         "192.0.2.1 -> x/a 80", "192.0.2.1 -> x/a 80/UDP", "x/a -x y/a 80", "x/a -x y/a ICMP",
                         "x/a -x 192.0.2.1 80"}) == Lines{});
  });
}

TEST_CASE("point 13: a ports entry with only a protocol means all its ports") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}"));
    CHECK(cluster.wrong({"y/a -> x/a 80/UDP", "y/a -> x/a 65535/UDP", "y/a -x x/a 80/TCP"}) == Lines{});
  });
}

TEST_CASE("point 14: no protocol means TCP") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"));
    CHECK(cluster.wrong({"y/a -> x/a 80/TCP", "y/a -x x/a 80/UDP", "y/a -x x/a 80/SCTP"}) == Lines{});
  });
}

TEST_CASE("point 15: a rule with ports never matches ICMP") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      ingress: [{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}])"));
    CHECK(cluster.wrong({"y/a -> x/a 1000/UDP", "y/a -x x/a ICMP"}) == Lines{});
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"));
    CHECK(cluster.wrong({"y/a -> x/a ICMP", "192.0.2.1 -x x/a ICMP"}) == Lines{});
  });
}

TEST_CASE("point 16: endPort is inclusive") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 1000, endPort: 1003}]}]}"));
    CHECK(cluster.wrong({"y/a -x x/a 999", "y/a -> x/a 1000", "y/a -> x/a 1003", "y/a -x x/a 1004"}) == Lines{});
    CHECK_THROWS(
        cluster.apply(network_policy("x", "q", "{podSelector: {}, ingress: [{ports: [{port: http, endPort: 9}]}]}")));
  });
}

TEST_CASE("point 17: a named port resolves on each destination pod, for egress on each peer") {
  const auto web = [](int port) {
    return "containers: [{name: c, ports: [{name: web, containerPort: " + std::to_string(port) + "}]}]";
  };
  with_cluster([&web](Cluster& cluster) {
    cluster.apply(local_pod("z", "one", "app: web", "10.0.3.100", web(8000)) +
                  local_pod("z", "two", "app: web", "10.0.3.101, fd00::3:101", web(9000)) +
                  network_policy("z", "in", "{podSelector: {}, ingress: [{ports: [{port: web}]}]}") +
                  network_policy("x", "out", R"(
      podSelector: {}
      policyTypes: [Egress]
      egress: [{to: [{namespaceSelector: {}}], ports: [{port: web}]}])"));
    CHECK(cluster.wrong({"y/a -> z/one 8000", "y/a -x z/one 9000", "y/a -> z/two 9000", "y/a -x z/a 8000",
                         "x/a -> z/one 8000", "x/a -x z/one 9000", "x/a -> z/two 9000", "x/a -x z/two 8000",
                         "x/a -x y/a 8000", "x/a -x 192.0.2.1 8000"}) == Lines{});
    cluster.apply(local_pod("z", "three", "app: web", "10.0.3.102", web(7000)));
    CHECK(cluster.wrong({"x/a -> z/three 7000", "x/a -x z/one 7000", "y/a -x z/three 8000"}) == Lines{});
  });
}

TEST_CASE("point 18: a named port whose protocol differs matches nothing") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{ports: [{port: serve-80-udp}]}]
      egress: [{ports: [{port: serve-81-udp, protocol: TCP}, {port: serve-80-sctp, protocol: SCTP}]}])"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "y/a -x x/a 80/UDP", "x/a -x y/a 81", "x/a -x y/a 81/UDP",
                         "x/a -> y/a 80/SCTP"}) == Lines{});
  });
}
