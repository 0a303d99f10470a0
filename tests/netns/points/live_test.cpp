// The points about time: pods that come, end and go, and flows that are open while policy changes (27 to 31, 34).
#include <netinet/in.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/traffic_cluster.hpp"
#include "tests/harness/traffic_command.hpp"

using namespace omnitide::test;
using omnitide::UniqueFd;
using omnitide::policy::network_policy;

namespace {

const std::string kFromB = network_policy("x", "p", R"(
  podSelector: {}
  ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])");

// What the kernel thinks is the most that a packet may have on the way, after a datagram that was too long and that it
// was not allowed to cut up.
int learnt_mtu(const Probe& to, std::size_t bytes) {
  const bool four = to.destination.is_v4();
  int out = 0;
  to.from->run([&] {
    const UniqueFd fd = make_socket(four ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    const int never = four ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
    must(::setsockopt(fd.get(), four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &never,
                      sizeof never),
         "forbid fragments");
    const SocketAddress destination(to.destination, to.port);
    must(::connect(fd.get(), destination.data(), destination.size), "connect");
    const std::string data(bytes, '?');
    must(static_cast<int>(::send(fd.get(), data.data(), data.size(), 0)), "send");
    for (int i = 0; i < 100 && (out == 0 || out == 1500); ++i) {
      ::usleep(5000);
      socklen_t size = sizeof out;
      must(::getsockopt(fd.get(), four ? IPPROTO_IP : IPPROTO_IPV6, four ? IP_MTU : IPV6_MTU, &out, &size), "ask");
    }
  });
  return out;
}

}  // namespace

TEST_CASE("point 27: Succeeded and Failed pods leave every set at once") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("y", "p", R"(
      podSelector: {matchLabels: {pod: a}}
      ingress: [{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, far]}]}}]}])"));
    CHECK(cluster.wrong({"y/b -> y/a 80", "y/far -> y/a 80"}) == Lines{});
    cluster.apply(local_pod("y", "b", "pod: b", "10.0.2.2, fd00::2:2", {}, "phase: Succeeded") +
                  omnitide::policy::pod("y", "far", "pod: far",
                                        "spec: {nodeName: node-2}\n"
                                        "status: {phase: Failed, podIPs: [{ip: 10.1.2.9}, {ip: \"fd01::2:9\"}]}"));
    CHECK(cluster.wrong({"10.1.2.9 -x y/a 80", "fd01::2:9 -x y/a 80", "10.0.2.2 -x y/a 80"}) == Lines{});
    CHECK(cluster.counted("closed") > 0);  // what is left of it on this node speaks to nobody
  });
}

TEST_CASE("point 28: terminating pods stay governed") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(kFromB +
                  "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: x, name: a, labels: {pod: a}, "
                  "deletionTimestamp: \"2026-01-01T00:00:00Z\"}\nspec: {nodeName: node-1}\n"
                  "status: {phase: Running, podIPs: [{ip: 10.0.1.1}, {ip: \"fd00::1:1\"}]}\n");
    CHECK(cluster.wrong({"x/b -> x/a 80", "y/a -x x/a 80", "x/a -> y/a 80"}) == Lines{});
  });
}

TEST_CASE("point 29: a new pod is closed from its first packet, then judged") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(kFromB);
    cluster.plug("x/new", {*omnitide::parse_address("10.0.1.9"), *omnitide::parse_address("fd00::1:9")});
    REQUIRE(cluster.node()->links_changed());
    Probe to = cluster.probe("x/b -> 10.0.1.9 80"), from = cluster.probe("x/b -> y/a 80");
    to.source = {};
    from.from = cluster.network().pod("x/new");
    from.source = {};
    to.hopeful = from.hopeful = false;
    for (const Answer& answer : ask({to, from}, cluster.responder()))
      CHECK(answer.how == "no answer");
    CHECK(cluster.counted("closed") > 0);
    cluster.apply(local_pod("x", "new", "pod: new", "10.0.1.9, fd00::1:9"));
    CHECK(cluster.wrong({"x/b -> x/new 80", "y/a -x x/new 80", "x/new -> y/a 80", "x/new -x x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 30: a change cuts live flows at once, in both directions and through the uplink") {
  with_cluster([](Cluster& cluster) {
    for (const std::string port : {"80", "80/UDP"}) {
      cluster.apply(kFromB);
      Flow in = cluster.open("x/b -> x/a " + port), out = cluster.open("x/a -> y/a " + port);
      Flow away = cluster.open("x/a -> 192.0.2.1 " + port), other = cluster.open("y/b -> y/a " + port);
      cluster.apply(network_policy("x", "p", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
      CHECK(in.cut());
      CHECK(out.cut());
      CHECK(away.cut());
      CHECK(other.alive());
    }
    CHECK(cluster.counted("revoked") > 0);
  });
}

TEST_CASE("point 30: a label change cuts live flows of the peer that it was") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(kFromB);
    Flow flow = cluster.open("x/b -> x/a 80");
    cluster.apply(local_pod("x", "b", "pod: other", "10.0.1.2, fd00::1:2"));
    CHECK(flow.cut());
  });
}

TEST_CASE("point 30: established: keep lets live flows be, and no new ones") {
  with_cluster([](Cluster& cluster) {
    const auto keep = [](const std::string& spec) {
      return "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: x, name: p, "
             "annotations: {omnitide.io/established: keep}}\nspec: " +
             spec + "\n";
    };
    cluster.apply(keep("{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{}], egress: [{}]}"));
    Flow in = cluster.open("y/a -> x/a 80"), udp = cluster.open("y/a -> x/a 80/UDP"),
         out = cluster.open("x/a -> y/a 80"), away = cluster.open("x/a -> 192.0.2.1 80");
    cluster.apply(keep("{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    CHECK(cluster.wrong({"y/a -x x/a 80", "x/a -x y/a 80", "x/a -x 192.0.2.1 80"}) == Lines{});
    CHECK(in.alive());
    CHECK(udp.alive());
    CHECK(out.alive());
    CHECK(away.alive());
  });
}

TEST_CASE("point 31: a pod is isolated until the last policy that selects it goes") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "one", "podSelector: {}") +
                  network_policy("x", "two", "podSelector: {matchLabels: {pod: a}}"));
    cluster.remove_policy("x", "one");
    CHECK(cluster.wrong({"y/a -x x/a 80", "y/a -> x/b 80"}) == Lines{});
    cluster.remove_policy("x", "two");
    CHECK(cluster.wrong({"y/a -> x/a 80"}) == Lines{});
  });
}

TEST_CASE("point 34: fragments follow their flow") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{ports: [{port: 80, protocol: UDP}]}]
      egress: [{ports: [{port: 80, protocol: UDP}]}])"));
    for (const std::string to : {"10.0.1.1", "fd00::1:1"}) {
      Probe allowed = cluster.probe("x/b -> " + to + " 80/UDP"), denied = cluster.probe("x/b -x " + to + " 81/UDP");
      Probe away = cluster.probe("x/b -> " + std::string(to == "10.0.1.1" ? "192.0.2.1" : "2001:db8::1") + " 80/UDP");
      allowed.bytes = denied.bytes = away.bytes = 20000;
      const std::uint64_t before = cluster.counted("fragment_without_first");
      const std::vector<Answer> answers = ask({allowed, denied, away}, cluster.responder());
      CHECK(answers[0].how == "answered");
      CHECK(answers[1].how == "no answer");
      CHECK(answers[2].how == "answered");
      CHECK(cluster.counted("fragment_without_first") == before);
    }
  });
}

TEST_CASE("point 34: port unreachable follows its flow, and is no ICMP that a rule would have to allow") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      ingress: [{ports: [{port: 82, protocol: UDP}]}]
      egress: [{ports: [{port: 82, protocol: UDP}]}])"));
    for (const std::string line : {"x/b -> 10.0.1.1 82/UDP", "x/b -> fd00::1:1 82/UDP", "x/b -> 192.0.2.1 82/UDP",
                                   "x/b -> 2001:db8::1 82/UDP", "y/a -> x/b 82/UDP"}) {
      INFO(line);
      CHECK(ask({cluster.probe(line)}, cluster.responder())[0].how == "Connection refused");
    }
    CHECK(cluster.wrong({"x/b -x x/a ICMP"}) == Lines{});
  });
}

TEST_CASE("point 34: an isolated pod learns the path's MTU") {
  with_cluster([](Cluster& cluster) {
    cluster.apply(network_policy("x", "p", R"(
      podSelector: {}
      policyTypes: [Ingress, Egress]
      egress: [{ports: [{port: 80, protocol: UDP}]}])"));
    command("ip link set wan0 mtu 1400");
    const int four = learnt_mtu(cluster.probe("x/b -> 192.0.2.1 80/UDP"), 1440);
    const int six = learnt_mtu(cluster.probe("x/b -> 2001:db8::1 80/UDP"), 1440);
    command("ip link set wan0 mtu 1500");
    CHECK(four == 1400);
    CHECK(six == 1400);
  });
}
