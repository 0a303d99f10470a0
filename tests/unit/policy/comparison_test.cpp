// Two sets of objects, and the ports worth asking about.
#include "agent/policy/comparison.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide;
using namespace omnitide::policy;

namespace {

std::vector<ObjectRef> objects_of(const std::string& yaml) { return agreement::list(World(yaml).objects()); }

Comparison compared(const std::string& before, const std::string& after) {
  const std::vector<ObjectRef> old = objects_of(before), now = objects_of(after);
  Result<Examiner> left = Examiner::of(old), right = Examiner::of(now);
  REQUIRE(left);
  REQUIRE(right);
  Result<Comparison> out = compare(*left, *right);
  REQUIRE(out);
  return std::move(*out);
}

using Ports = std::vector<std::string>;
Ports text(const std::vector<PortProbe>& probes, Protocol protocol) {
  Ports out;
  for (const PortProbe& probe : probes)
    if (probe.protocol == protocol)
      out.push_back(std::to_string(probe.first) + "-" + std::to_string(probe.last) + (probe.other ? " other" : ""));
  return out;
}

}  // namespace

TEST_CASE("ports are asked about where rules tell them apart") {
  const auto probes = port_probes(objects_of(conformance_cluster() + network_policy("x", "p", R"(
    podSelector: {}
    ingress:
    - ports: [{port: 80}, {port: 8000, endPort: 8010}, {port: 8005, endPort: 8020}, {port: serve-81-udp, protocol: UDP}]
    - ports: [{port: 65535, protocol: SCTP}, {port: 1, protocol: SCTP}])")));
  CHECK(text(probes, Protocol::tcp) == Ports{"1-79 other", "80-80", "8000-8004", "8005-8010", "8011-8020"});
  CHECK(text(probes, Protocol::udp) == Ports{"1-80 other", "81-81"});
  CHECK(text(probes, Protocol::sctp) == Ports{"1-1", "2-65534 other", "65535-65535"});
  CHECK(text(probes, Protocol::icmp) == Ports{"0-0"});
}

TEST_CASE("the same policies written otherwise are no difference") {
  const std::string one = conformance_cluster() + network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {}}], ports: [{port: 80}, {port: 81}]}])");
  const std::string other = conformance_cluster() + network_policy("x", "q", R"(
    podSelector: {}
    ingress: [{from: [{podSelector: {}}], ports: [{port: 80, endPort: 81}]}])");
  const Comparison found = compared(one, other);
  CHECK(found.differences.empty());
  CHECK(found.only_old.empty());
}

TEST_CASE("a policy that goes opens what it closed, for pods and for addresses outside") {
  const Comparison found = compared(conformance_cluster() + network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 80}]}])"),
                                    conformance_cluster());
  REQUIRE_FALSE(found.differences.empty());
  bool from_pods = false, from_block = false, from_world = false;
  for (const Difference& each : found.differences) {
    CHECK(each.to == std::vector<std::string>{"x/a"});
    CHECK_FALSE(each.before);
    CHECK(each.after);
    for (const std::string& from : each.from) {
      CHECK(from != "x/a");
      from_pods = from_pods || from == "y/b";
      from_world = from_world || from == "0.0.0.0";
      if (from == "192.0.2.0") {
        from_block = true;
        const bool has_80 = each.port.first <= 80 && 80 <= each.port.last;
        CHECK_FALSE((each.port.protocol == Protocol::tcp && has_80));  // was and is allowed
      }
    }
  }
  CHECK(from_pods);
  CHECK(from_block);
  CHECK(from_world);
}

TEST_CASE("a block that becomes narrower or wider is a difference for what lies between") {
  const auto with = [](const std::string& cidr) {
    return conformance_cluster() + network_policy("x", "p",
                                                  "{podSelector: {matchLabels: {pod: a}}, ingress: [{from: "
                                                  "[{ipBlock: {cidr: " +
                                                      cidr + "}}]}]}");
  };
  for (const bool narrower : {true, false}) {
    const std::string wide = with("172.16.0.0/12"), narrow = with("172.16.0.0/16");
    const Comparison found = compared(narrower ? wide : narrow, narrower ? narrow : wide);
    REQUIRE_FALSE(found.differences.empty());
    for (const Difference& each : found.differences) {
      CHECK(each.from == std::vector<std::string>{"172.17.0.0"});
      CHECK(each.to == std::vector<std::string>{"x/a"});
      CHECK(each.before == narrower);
      CHECK(each.after != narrower);
    }
  }
}

TEST_CASE("ports that change in the same way are one range, from the first to the last") {
  const auto with = [](const std::string& ports) {
    return conformance_cluster() +
           network_policy("x", "p", "{podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [" + ports + "]}]}");
  };
  const Comparison found =
      compared(with("{port: 80}, {port: 1000, endPort: 1999}"), with("{port: 80}, {port: 1500, endPort: 3000}"));
  std::vector<std::string> changes;
  for (const Difference& each : found.differences) {
    CHECK(each.to == std::vector<std::string>{"x/a"});
    const std::string text = describe(each.port) + (each.after ? " opens" : " closes");
    if (std::ranges::find(changes, text) == changes.end()) changes.push_back(text);
  }
  CHECK(changes == std::vector<std::string>{"TCP 1000-1499 closes", "TCP 2000-3000 opens"});
}

TEST_CASE("pods that only one has are told, and ends that are judged alike are told together") {
  const std::string more = pod("x", "d", "pod: d", "status: {podIP: 10.0.1.4}");
  const Comparison found =
      compared(conformance_cluster() + more, conformance_cluster() + network_policy("x", "p", "podSelector: {}"));
  CHECK(found.only_old == std::vector<std::string>{"x/d"});
  CHECK(found.only_new.empty());
  for (const Difference& each : found.differences) {
    CHECK(each.before);
    CHECK_FALSE(each.after);
  }
  // Pods of y differ from each other in nothing but their labels, which no rule asks for.
  const auto together = [](const Difference& each) { return each.from.size() >= 3; };
  CHECK(std::ranges::any_of(found.differences, together));
}
