// All pairs of pods over all protocols, as the conformance tests of Kubernetes do it: what packets do is what the plan
// says.
#include <array>

#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"

using namespace omnitide::test;
using omnitide::policy::cluster_policy;
using omnitide::policy::network_policy;

namespace {

const std::vector<std::string> kAll{"80", "81", "80/UDP", "81/UDP", "80/SCTP", "81/SCTP"};

}  // namespace

TEST_CASE("matrix: policies of every shape at once") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "deny-all", "{podSelector: {}, policyTypes: [Ingress, Egress]}") +
                  network_policy("x", "from-y-b", R"(
      podSelector: {matchLabels: {pod: a}}
      policyTypes: [Ingress, Egress]
      ingress:
      - from: [{namespaceSelector: {matchLabels: {ns: "y"}}, podSelector: {matchLabels: {pod: b}}}]
        ports: [{port: serve-80-tcp}, {port: serve-81-udp, protocol: UDP}, {port: 80, protocol: SCTP}]
      egress:
      - to: [{ipBlock: {cidr: 10.0.3.0/24, except: [10.0.3.2/32]}}]
        ports: [{port: 80, endPort: 81}])") +
                  network_policy("z", "only-x-and-y", R"(
      podSelector: {matchExpressions: [{key: pod, operator: NotIn, values: [c]}]}
      ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: In, values: [x, "y"]}]}}]}])") +
                  cluster_policy("admin", R"(
      {tier: Admin, priority: 5, subject: {namespaces: {matchLabels: {ns: "y"}}},
       ingress: [{action: Deny, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {pod: c}}}}]},
                 {action: Accept, from: [{namespaces: {matchLabels: {ns: z}}}]}]})"));
    CHECK(cluster.wrong_in_matrix(kAll) == Lines{});
  });
}

TEST_CASE("matrix: one policy after the other, all protocols") {
  with_cluster([](Cluster& cluster) {
    const std::array specs{
        "{podSelector: {}, ingress: []}",
        "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}]}",
        "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80, protocol: UDP}]}]}",
        "{podSelector: {}, ingress: [{ports: [{protocol: SCTP, port: serve-81-sctp}]}]}",
    };
    for (const char* spec : specs) {
      INFO(spec);
      cluster.apply(network_policy("x", "p", spec));
      CHECK(cluster.wrong_in_matrix(kAll) == Lines{});
    }
  });
}
