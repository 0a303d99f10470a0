// 1,000 changes under continuous traffic: nothing that is allowed is lost, and nothing passes that neither the policy
// before a change nor the one after it allows.
#include <chrono>
#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"
#include "tests/harness/traffic_prober.hpp"

using namespace omnitide::test;
using omnitide::policy::network_policy;
using omnitide::policy::ObjectKey;

namespace {

std::string client(const std::string& name_space, const std::string& role, const std::string& addresses) {
  return local_pod(name_space, "a", "role: " + role, addresses);
}

// x/a has the role that y/a's policy lets in, z/a the other one. Both change in one step: with an old label and a new
// policy, or the other way round, x/a would be shut out and z/a let in.
std::string swapped(bool green) {
  const std::string friends = green ? "green" : "blue", strangers = green ? "blue" : "green";
  return client("x", friends, "10.0.1.1, fd00::1:1") +
         client("z", strangers, "10.0.3.1, fd00::3:1") + network_policy("y", "swap", R"(
      podSelector: {matchLabels: {pod: a}}
      policyTypes: [Ingress, Egress]
      ingress:
      - from: [{namespaceSelector: {}, podSelector: {matchLabels: {role: )" + friends + R"(}}}]
        ports: [{port: 80}, {port: 80, protocol: UDP}]
      - from: [{ipBlock: {cidr: 192.0.2.0/24}}]
      egress:
      - to: [{namespaceSelector: {}, podSelector: {matchLabels: {role: )" + friends + R"(}}}]
      - to: [{ipBlock: {cidr: 192.0.2.0/24}}])");
}

// Changes that must not change what is asked: another policy of the same pod, another pod's label, a pod that comes.
std::string beside(unsigned i) {
  switch (i % 3) {
    case 0:
      return network_policy("y", "more",
                            R"(
        podSelector: {matchLabels: {pod: a}}
        ingress: [{from: [{namespaceSelector: {matchLabels: {ns: x}}, podSelector: {matchLabels: {pod: b}}}],
                   ports: [{port: )" +
                                std::to_string(1000 + i) + "}]}]");
    case 1: return local_pod("x", "c", "pod: c, turn: t" + std::to_string(i), "10.0.1.3, fd00::1:3");
    default:
      return omnitide::policy::pod(
          "z", "coming", "role: nobody",
          "spec: {nodeName: node-2}\nstatus: {podIPs: [{ip: 10.1.3." + std::to_string(1 + i % 250) + "}]}");
  }
}

}  // namespace

TEST_CASE("1,000 changes lose nothing that is allowed, and let nothing through that never was") {
  with_cluster([](Cluster& cluster) {
    constexpr unsigned kChanges = 1000;
    cluster.apply(swapped(false));
    Prober prober;
    for (const std::string address : {"10.0.2.1", "fd00::2:1"}) {
      prober.udp_stream(cluster.probe("x/a -> " + address + " 80/UDP"));
      prober.tcp_stream(cluster.probe("x/a -> " + address + " 80"));
    }
    prober.new_flows(cluster.probe("x/a -> y/a 80"));
    prober.new_flows(cluster.probe("y/a -> x/a 80/UDP"));
    prober.udp_stream(cluster.probe("y/a -> 192.0.2.1 80/UDP"));
    prober.new_flows(cluster.probe("192.0.2.1 -> y/a 80"));
    prober.never(cluster.probe("z/a -> y/a 80/UDP"));
    prober.never(cluster.probe("z/a -> fd00::2:1 80"));
    prober.never(cluster.probe("y/a -> z/a 80/UDP"));
    prober.never(cluster.probe("y/a -> 198.51.100.1 80/UDP"));
    prober.wait_until_begun();
    const std::uint64_t revoked = cluster.counted("revoked");

    for (unsigned i = 0; i < kChanges; ++i) {
      const auto update = cluster.world().apply(i % 2 == 0 ? swapped(i % 4 == 0) : beside(i / 2));
      REQUIRE(cluster.node()->publish(update, false));
      if (i % 8 == 7) REQUIRE(cluster.node()->settle());
    }
    const ProberCounts counts = prober.stop();
    CHECK(counts.lost == 0);
    CHECK(counts.leaked == 0);
    CHECK(counts.answered > kChanges);
    CHECK(counts.sent > kChanges);
    CHECK(cluster.counted("revoked") == revoked);
    CHECK(cluster.counted("torn") == 0);
    WARN("answered " << counts.answered << ", lost " << counts.lost << ", forbidden " << counts.sent << ", leaked "
                     << counts.leaked);
  });
}

TEST_CASE("the prober sees a change that shuts out what was allowed, and one that lets in what was not") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(swapped(false));
    Prober prober;
    prober.udp_stream(cluster.probe("x/a -> y/a 80/UDP"));
    prober.never(cluster.probe("z/a -> y/a 80/UDP"));
    prober.wait_until_begun();
    for (const std::string role : {"green", "blue"}) {  // the labels alone, without the policy
      cluster.apply(client("z", role == "green" ? "blue" : "green", "10.0.3.1, fd00::3:1") +
                    client("x", role, "10.0.1.1, fd00::1:1"));
      std::this_thread::sleep_for(std::chrono::milliseconds(150));
    }
    const ProberCounts counts = prober.stop();
    CHECK(counts.lost > 0);
    CHECK(counts.leaked > 0);
  });
}
