// HostPolicy on an uplink: what reaches the node and what leaves it.
#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"

using namespace omnitide::test;
using omnitide::policy::host_policy;
using omnitide::policy::network_policy;

TEST_CASE("HostPolicy: only what its rules and fail-safe ports let in reaches the node; pods are not its business") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(host_policy("gateway", R"(
      interfaces: [wan0]
      ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.66/32]}}], ports: [{port: 443}]}])"));
    CHECK(cluster.wrong({"192.0.2.1 -> node 443", "192.0.2.66 -x node 443", "198.51.100.1 -x node 443",
                         "192.0.2.1 -x node 80", "192.0.2.1 -x node 443/UDP", "192.0.2.1 -x node ICMP",
                         "198.51.100.1 -> node 22", "2001:db8::1 -> node 22", "2001:db8::1 -x node 443",
                         "192.0.2.1 -> x/a 80", "x/a -> node 80", "node -> 192.0.2.66 80", "node -> 192.0.2.1 80/UDP",
                         "node -> 2001:db8::1 ICMP", "x/a -> 192.0.2.1 80/UDP"}) == Lines{});
  });
}

TEST_CASE("HostPolicy: what the node sends is judged, what it forwards is not") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(host_policy("gateway", R"(
      interfaces: ["wan*"]
      failSafe: {egress: [{port: 22}]}
      egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80, protocol: UDP}]}])"));
    CHECK(cluster.wrong({"node -> 192.0.2.1 80/UDP", "node -x 192.0.2.1 80", "node -> 198.51.100.1 22",
                         "node -x 2001:db8::1 80/UDP", "node -> 2001:db8::1 22", "x/a -> 192.0.2.1 80",
                         "x/a -> 2001:db8::1 80/UDP", "192.0.2.1 -> node 80", "192.0.2.1 -> node 80/UDP",
                         "node -> x/a 80"}) == Lines{});
  });
}

TEST_CASE("HostPolicy: nothing passes from or to the deny list, not even by fail-safe ports or to pods") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(host_policy("blocked", R"(
      interfaces: [wan0]
      deny: [198.51.100.0/24, "2001:db8:bad::/48"])"));
    CHECK(cluster.wrong({"198.51.100.7 -x node 22", "198.51.100.7 -x x/a 80", "198.51.100.7 -x node 80/UDP",
                         "2001:db8:bad::1 -x node 22", "2001:db8:bad::1 -x x/a 80", "x/a -x 198.51.100.7 80",
                         "node -x 198.51.100.7 80/UDP", "node -x 2001:db8:bad::1 ICMP", "192.0.2.1 -> node 80",
                         "2001:db8::1 -> x/a 80"}) == Lines{});
    CHECK(cluster.counted("deny_list") > 0);
  });
}

TEST_CASE("HostPolicy: a change cuts live connections of the node, and both kinds of policy hold beside each other") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(host_policy("closed", "{interfaces: [wan0], ingress: [{ports: [{port: 80}]}]}"));
    Flow in = cluster.open("192.0.2.1 -> node 80"), safe = cluster.open("192.0.2.1 -> node 22");
    cluster.apply(host_policy("closed", "{interfaces: [wan0], policyTypes: [Ingress]}") +
                  network_policy("x", "p", "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.1/32}}]}]}"));
    CHECK(in.cut());
    CHECK(safe.alive());
    CHECK(cluster.wrong({"192.0.2.1 -> x/a 80", "192.0.2.2 -x x/a 80", "192.0.2.1 -x node 80"}) == Lines{});
  });
}
