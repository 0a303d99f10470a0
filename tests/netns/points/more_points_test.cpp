// What implementations of NetworkPolicy get wrong, points 19 to 35 without those about time (live_test.cpp) and
// Services (tests/netns/services), by real packets between namespaces.
#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"

using namespace omnitide::test;
using omnitide::policy::cluster_policy;
using omnitide::policy::network_policy;

TEST_CASE("point 19: except narrows its own block only") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress:
      - from:
        - ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/25]}
        - ipBlock: {cidr: 192.0.2.192/26}
        - ipBlock: {cidr: "2001:db8::/32", except: ["2001:db8:1::/48"]})"));
    CHECK(cluster.wrong({"192.0.2.127 -> x/a 80", "192.0.2.128 -x x/a 80", "192.0.2.191 -x x/a 80",
                         "192.0.2.192 -> x/a 80", "192.0.2.255 -> x/a 80/UDP", "198.51.100.1 -x x/a 80",
                         "2001:db8::1 -> x/a 80", "2001:db8:1::1 -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 20: ipBlock matches pod addresses too") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{ipBlock: {cidr: 10.0.2.0/24, except: [10.0.2.2/32]}}, {ipBlock: {cidr: "fd00::2:3/128"}}]}])"));
    CHECK(cluster.wrong({"10.0.2.1 -> x/a 80", "10.0.2.2 -x x/a 80", "y/c -> x/a 80", "fd00::2:1 -x x/a 80",
                         "z/a -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 21: the host bits of a CIDR are masked") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{ipBlock: {cidr: 192.0.2.77/24}}]}])"));
    CHECK(cluster.wrong({"192.0.2.1 -> x/a 80", "198.51.100.1 -x x/a 80", "2001:db8::1 -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 22: SCTP-only rules isolate, and never open TCP") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 80, protocol: SCTP}]}]}"));
    CHECK(cluster.wrong({"y/a -> x/a 80/SCTP", "y/a -x x/a 81/SCTP", "y/a -x x/a 80", "y/a -x x/a 80/UDP",
                         "192.0.2.1 -> x/a 80/SCTP"}) == Lines{});
  });
}

TEST_CASE("point 24: a pod reaches itself by its own address") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress, Egress]}") +
                  cluster_policy("c", R"(
      {tier: Admin, priority: 0, subject: {namespaces: {}},
       ingress: [{action: Deny, from: [{namespaces: {}}]}], egress: [{action: Deny, to: [{networks: [0.0.0.0/0]}]}]})"));
    CHECK(cluster.wrong({"x/a -> x/a 80", "x/a -> x/a 80/UDP", "x/a -> x/a ICMP", "x/a -x x/b 80"}) == Lines{});
  });
}

TEST_CASE("point 25: host-network pods are neither subject nor pod peer") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(omnitide::policy::pod("x", "host", "pod: b",
                                        "spec: {hostNetwork: true, nodeName: node-2}\n"
                                        "status: {podIPs: [{ip: 10.9.0.2}, {ip: \"fd09::2\"}]}") +
                  network_policy("x", "p", R"(
      podSelector: {}
      ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])"));
    CHECK(cluster.wrong({"x/b -> x/a 80", "node-2 -x x/a 80", "y/a -> node-2 80"}) == Lines{});
  });
}

TEST_CASE("point 26: the own node reaches its pods, another node does not") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    CHECK(cluster.wrong({"node -> x/a 80", "node -> x/a 80/UDP", "node -> x/a 80/SCTP", "node -> x/a ICMP",
                         "10.9.0.1 -> x/a 80", "node-2 -x x/a 80", "node-2 -x x/a ICMP", "x/a -x node 80",
                         "x/a -x node 80/UDP", "x/a -x node-2 80"}) == Lines{});
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{from: [{ipBlock: {cidr: 10.9.0.0/16}}]}]
      egress: [{to: [{ipBlock: {cidr: 10.9.0.1/32}}]}])"));
    CHECK(cluster.wrong({"10.9.0.2 -> x/a 80", "fd09::2 -x x/a 80", "x/a -> 10.9.0.1 80/UDP", "x/a -x fd09::1 80",
                         "x/a -x 10.9.0.2 80"}) == Lines{});
  });
}

TEST_CASE("point 32: labels of pods and namespaces count, in both roles") {
  with_cluster([](Cluster& cluster) {
    const auto name_space = [](const std::string& labels) {
      return "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: \"y\", labels: {" + labels + "}}\n";
    };
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {role: server}}
      ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {role: client}}}]}])"));
    CHECK(cluster.wrong({"y/a -> x/a 80"}) == Lines{});
    cluster.apply(local_pod("x", "a", "role: server", "10.0.1.1, fd00::1:1"));  // as subject
    CHECK(cluster.wrong({"y/a -x x/a 80"}) == Lines{});
    cluster.apply(local_pod("y", "a", "role: client", "10.0.2.1, fd00::2:1"));  // as peer
    CHECK(cluster.wrong({"y/a -x x/a 80"}) == Lines{});
    cluster.apply(name_space("team: blue"));
    CHECK(cluster.wrong({"y/a -> x/a 80", "y/b -x x/a 80"}) == Lines{});
    cluster.apply(name_space("team: red"));
    CHECK(cluster.wrong({"y/a -x x/a 80"}) == Lines{});
    cluster.apply(cluster_policy("c", R"(
      {tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {team: red}}},
       ingress: [{action: Deny, from: [{namespaces: {}}]}]})"));
    CHECK(cluster.wrong({"z/a -x y/b 80", "192.0.2.1 -> y/b 80"}) == Lines{});
    cluster.apply(name_space(""));
    CHECK(cluster.wrong({"z/a -> y/b 80"}) == Lines{});
  });
}

TEST_CASE("point 33: each address of a pod counts") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      policyTypes: [Ingress, Egress]
      ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}, {ipBlock: {cidr: "fd00::2:0/112"}}]}]
      egress: [{to: [{podSelector: {matchLabels: {pod: c}}}]}])"));
    CHECK(cluster.wrong({"10.0.1.2 -> x/a 80", "fd00::1:2 -> x/a 80", "fd00::1:3 -x x/a 80", "fd00::2:3 -> x/a 80",
                         "10.0.2.3 -x x/a 80", "x/a -> 10.0.1.3 80", "x/a -> fd00::1:3 80/UDP",
                         "x/a -x fd00::2:3 80"}) == Lines{});
  });
}

TEST_CASE("point 35: a namespace whose labels are not known matches no selector that asks for one") {
  with_cluster([](Cluster& cluster) {
    const auto from = [](const std::string& selector) {
      return network_policy("x", "p", "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [" + selector + "]}]}");
    };
    cluster.apply(local_pod("ghost", "a", "pod: a", "10.0.8.1, fd00::8:1") +
                  from("{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [z]}]}}"));
    CHECK(cluster.wrong({"y/a -> x/a 80", "ghost/a -x x/a 80"}) == Lines{});
    cluster.apply(from("{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ghost}}}"));
    CHECK(cluster.wrong({"ghost/a -x x/a 80"}) == Lines{});
    cluster.apply(from("{namespaceSelector: {}}") + network_policy("ghost", "own", "podSelector: {}"));
    CHECK(cluster.wrong({"ghost/a -> x/a 80", "y/a -x ghost/a 80"}) == Lines{});
  });
}
