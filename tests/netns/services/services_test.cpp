// Point 23 and what belongs to it: traffic through Services is judged by who sent it and where it ends, whatever
// address translation does on the way.
#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"
#include "tests/harness/traffic_services.hpp"

using namespace omnitide::test;
using omnitide::policy::network_policy;

namespace {

const std::vector<Service> kServices{
    {"web", "172.30.0.10", 80, {{"10.0.1.2", 8080}}},  // x/b
    {"web6", "fd30::10", 80, {{"fd00::1:2", 8080}}},
    {"own", "172.30.0.11", 80, {{"10.0.1.1", 8080}}},  // x/a
    {"own6", "fd30::11", 80, {{"fd00::1:1", 8080}}},
    {"far", "172.30.0.12", 80, {{"10.1.2.9", 8080}}},  // y/far
    {"far6", "fd30::12", 80, {{"fd01::2:9", 8080}}},
    {"open", "172.30.0.13", 80, {{"10.0.2.1", 8080}}, 30080},  // y/a, with a node port
    {"open6", "fd30::13", 80, {{"fd00::2:1", 8080}}, 30080},
    {"host", "172.30.0.14", 80, {{"10.9.0.1", 443}}},  // a pod on the network of this node
    {"host6", "fd30::14", 80, {{"fd09::1", 443}}},
    {"away", "172.30.0.15", 80, {{"10.1.2.9", 8080}}, 30081},  // y/far, with a node port
    {"away6", "fd30::15", 80, {{"fd01::2:9", 8080}}, 30081},
};

void with_services(const std::function<void(Cluster&)>& body) {
  with_cluster([&body](Cluster& cluster) {
    const Services services(kServices);
    body(cluster);
  });
}

std::string egress_of_a(const std::string& rules) {
  return network_policy("x", "out",
                        "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: " + rules + "}");
}

}  // namespace

TEST_CASE("without policies Services work") {
  with_services([](Cluster& cluster) {
    CHECK(cluster.wrong({
              "x/a -> 172.30.0.10 80 as x/b 8080",
              "x/a -> 172.30.0.10 80/UDP as x/b 8080/UDP",
              "x/a -> 172.30.0.10 80/SCTP as x/b 8080/SCTP",
              "x/a -> fd30::10 80 as x/b 8080",
              "x/a as masq -> 172.30.0.11 80 as x/a 8080",
              "x/a as masq -> fd30::11 80/UDP as x/a 8080/UDP",
              "x/a -> 172.30.0.12 80 as y/far 8080",
              "x/a -> fd30::12 80/UDP as y/far 8080/UDP",
              "192.0.2.1 as masq -> node 30080 as y/a 8080",
              "2001:db8::1 as masq -> node 30080 as y/a 8080",
              "node -> 172.30.0.10 80 as x/b 8080",
              "x/a -> 172.30.0.14 80 as node 443",
              "192.0.2.1 as node -> node 30081 as y/far 8080",
          }) == Lines{});
  });
}

TEST_CASE("egress is judged by the pod behind the Service: its address, labels and port") {
  with_services([](Cluster& cluster) {
    cluster.apply(
        egress_of_a("[{to: [{podSelector: {matchLabels: {pod: b}}}], ports: [{port: 8080}, {port: 8080, "
                    "protocol: UDP}]}]"));
    CHECK(cluster.wrong({"x/a -> 172.30.0.10 80 as x/b 8080", "x/a -> fd30::10 80 as x/b 8080",
                         "x/a -> 172.30.0.10 80/UDP as x/b 8080/UDP", "x/a -x 172.30.0.10 80/SCTP as x/b 8080/SCTP",
                         "x/a -x 172.30.0.12 80 as y/far 8080", "x/a -x 172.30.0.13 80 as y/a 8080",
                         "x/a -x x/b 80"}) == Lines{});
    cluster.apply(egress_of_a("[{to: [{ipBlock: {cidr: 172.30.0.0/16}}], ports: [{port: 80}]}]"));
    CHECK(cluster.wrong({"x/a -x 172.30.0.10 80 as x/b 8080", "x/a -x 172.30.0.12 80 as y/far 8080"}) == Lines{});
    cluster.apply(egress_of_a("[{to: [{namespaceSelector: {matchLabels: {ns: \"y\"}}}]}]"));
    CHECK(cluster.wrong({"x/a -> 172.30.0.12 80 as y/far 8080", "x/a -> fd30::12 80/UDP as y/far 8080/UDP",
                         "x/a -> 172.30.0.13 80 as y/a 8080", "x/a -x 172.30.0.10 80 as x/b 8080"}) == Lines{});
  });
}

TEST_CASE("ingress is judged by the pod that asked, not by the Service or the node") {
  with_services([](Cluster& cluster) {
    cluster.apply(network_policy("x", "in", R"(
      podSelector: {matchLabels: {pod: b}}
      ingress: [{from: [{podSelector: {matchLabels: {pod: a}}}], ports: [{port: 8080}]}])"));
    CHECK(cluster.wrong({"x/a -> 172.30.0.10 80 as x/b 8080", "x/a -> fd30::10 80 as x/b 8080",
                         "x/c -x 172.30.0.10 80 as x/b 8080", "y/a -x fd30::10 80 as x/b 8080",
                         "node -> 172.30.0.10 80 as x/b 8080", "node-2 -x 172.30.0.10 80 as x/b 8080"}) == Lines{});
  });
}

TEST_CASE("a pod reaches itself through its Service, masqueraded") {
  with_services([](Cluster& cluster) {
    cluster.apply(network_policy("x", "none", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    CHECK(cluster.wrong({"x/a as masq -> 172.30.0.11 80 as x/a 8080", "x/a as masq -> fd30::11 80 as x/a 8080",
                         "x/a as masq -> 172.30.0.11 80/UDP as x/a 8080/UDP", "x/b -x 172.30.0.11 80 as x/a 8080"}) ==
          Lines{});
  });
}

TEST_CASE("masqueraded traffic to a node port is not the node") {
  with_services([](Cluster& cluster) {
    cluster.apply(network_policy("y", "in", R"(
      podSelector: {}
      ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}, {ipBlock: {cidr: "2001:db8::/32"}}]}])"));
    CHECK(cluster.wrong({"192.0.2.1 as masq -x node 30080 as y/a 8080", "2001:db8::1 as masq -x node 30080 as y/a 8080",
                         "192.0.2.1 -> y/a 8080", "node -> y/a 8080"}) == Lines{});
    cluster.apply(network_policy("y", "in", R"(
      podSelector: {}
      ingress: [{from: [{ipBlock: {cidr: 10.9.0.1/32}}, {ipBlock: {cidr: 10.0.0.1/32}},
                        {ipBlock: {cidr: "fd09::1/128"}}, {ipBlock: {cidr: "fd00::1/128"}}]}])"));
    CHECK(cluster.wrong({"192.0.2.1 as masq -> node 30080 as y/a 8080", "2001:db8::1 as masq -> node 30080 as y/a 8080",
                         "192.0.2.1 -x y/a 8080"}) == Lines{});
  });
}

TEST_CASE("a masqueraded pod is still that pod, for egress and for ingress") {
  with_services([](Cluster& cluster) {
    cluster.apply(network_policy("y", "in", R"(
      podSelector: {}
      ingress: [{from: [{namespaceSelector: {matchLabels: {ns: x}}, podSelector: {matchLabels: {pod: a}}}]}])"));
    CHECK(cluster.wrong({"x/a as masq -> node 30080 as y/a 8080", "x/b as masq -x node 30080 as y/a 8080"}) == Lines{});
    cluster.apply(egress_of_a("[{to: [{ipBlock: {cidr: 10.9.0.1/32}}, {ipBlock: {cidr: \"fd09::1/128\"}}]}]"));
    CHECK(cluster.wrong({"x/a as masq -x node 30080 as y/a 8080", "x/a as node -x node 30081 as y/far 8080"}) ==
          Lines{});
    cluster.apply(egress_of_a("[{to: [{namespaceSelector: {matchLabels: {ns: \"y\"}}}], ports: [{port: 8080}]}]"));
    CHECK(cluster.wrong({"x/a as masq -> node 30080 as y/a 8080", "x/a as node -> node 30081 as y/far 8080"}) ==
          Lines{});
  });
}

TEST_CASE("egress through a Service to the node's own network is judged at the node's sockets") {
  with_services([](Cluster& cluster) {
    cluster.apply(
        egress_of_a("[{to: [{ipBlock: {cidr: 10.9.0.1/32}}, {ipBlock: {cidr: \"fd09::1/128\"}}], ports: "
                    "[{port: 443}, {port: 443, protocol: UDP}]}]"));
    CHECK(cluster.wrong({"x/a -> 172.30.0.14 80 as node 443", "x/a -> fd30::14 80 as node 443",
                         "x/a -> 172.30.0.14 80/UDP as node 443/UDP", "x/a -x node 22"}) == Lines{});
    cluster.apply(egress_of_a("[{to: [{ipBlock: {cidr: 172.30.0.0/16}}]}]"));
    CHECK(cluster.wrong({"x/a -x 172.30.0.14 80 as node 443", "x/a -x 172.30.0.14 80/UDP as node 443/UDP"}) == Lines{});
  });
}

TEST_CASE("a change cuts live flows through Services") {
  with_services([](Cluster& cluster) {
    for (const std::string port : {"80", "80/UDP"}) {
      const std::string behind = port == "80" ? "8080" : "8080/UDP";
      cluster.apply(egress_of_a("[{}]"));
      Flow near = cluster.open("x/a -> 172.30.0.10 " + port + " as x/b " + behind);
      Flow far = cluster.open("x/a -> 172.30.0.12 " + port + " as y/far " + behind);
      Flow own = cluster.open("x/a as masq -> 172.30.0.11 " + port + " as x/a " + behind);
      cluster.apply(egress_of_a("[{to: [{podSelector: {matchLabels: {pod: b}}}]}]"));
      CHECK(near.alive());
      CHECK(far.cut());
      CHECK(own.alive());
      cluster.apply(egress_of_a("[]"));
      CHECK(near.cut());
      CHECK(own.alive());
    }
  });
}

TEST_CASE("an answer to what came through a Service needs no egress rule") {
  with_services([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{}])"));
    CHECK(cluster.wrong({"y/a -> 172.30.0.10 80 as x/b 8080", "y/a -> fd30::10 80/UDP as x/b 8080/UDP",
                         "node-2 as masq -> 172.30.0.10 80 as x/b 8080", "x/b -x y/a 8080"}) == Lines{});
  });
}
