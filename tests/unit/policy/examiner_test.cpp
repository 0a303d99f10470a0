// Questions about connections between pods, addresses and blocks, held against the oracle.
#include "agent/policy/examiner.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_oracle.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide;
using namespace omnitide::policy;

namespace {

Examiner examiner_of(const std::string& yaml) {
  const World world(yaml);
  Result<Examiner> made = Examiner::of(agreement::list(world.objects()));
  REQUIRE(made);
  return std::move(*made);
}

End one(const Examiner& examiner, const std::string& text) {
  const Result<std::vector<End>> found = examiner.find(text);
  REQUIRE(found);
  REQUIRE(found->size() == 1);
  return found->front();
}

Answer ask(Examiner& examiner, const std::string& from, const std::string& to, std::uint16_t port = 80,
           Protocol protocol = Protocol::tcp) {
  const auto answer = examiner.ask(one(examiner, from), one(examiner, to), protocol, port);
  REQUIRE(answer);
  return *answer;
}

}  // namespace

TEST_CASE("a question between two pods is answered for both ends, with the rule that decides") {
  Examiner examiner = examiner_of(conformance_cluster() + network_policy("x", "in", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}], ports: [{port: 80}]}])") +
                                  network_policy("y", "out", "{podSelector: {}, policyTypes: [Egress]}"));
  CHECK(ask(examiner, "x/b", "x/a").allowed());
  const Answer denied = ask(examiner, "x/c", "x/a");
  CHECK(denied.egress.reason == Verdict::Reason::open);
  CHECK_FALSE(denied.ingress.allowed);
  CHECK(denied.ingress.reason == Verdict::Reason::otherwise);
  const Answer both = ask(examiner, "y/a", "x/a");
  CHECK_FALSE(both.egress.allowed);
  CHECK_FALSE(both.ingress.allowed);
  CHECK(ask(examiner, "y/a", "y/a").ingress.reason == Verdict::Reason::self);

  const std::vector<Examiner::RuleView> rules =
      examiner.rules(one(examiner, "x/a"), Direction::ingress, one(examiner, "x/c"), Protocol::tcp, 80, true);
  REQUIRE(rules.size() == 1);
  CHECK(rules[0].origin->policy.name == "in");
  CHECK_FALSE(rules[0].peer);
  CHECK(rules[0].port);
  CHECK_FALSE(rules[0].decides);
  const std::vector<ObjectRef> selecting = examiner.selecting(one(examiner, "y/b"), Direction::egress);
  REQUIRE(selecting.size() == 1);
  CHECK(key_of(*selecting[0]).name == "out");
  CHECK(examiner.selecting(one(examiner, "y/b"), Direction::ingress).empty());
}

TEST_CASE("a policy without rules is one that selects, and a cluster policy only where it has rules") {
  const Examiner examiner =
      examiner_of(conformance_cluster() + network_policy("x", "deny", "podSelector: {}") + cluster_policy("admin", R"(
    tier: Admin
    priority: 1
    subject: {namespaces: {}}
    egress: [{action: Deny, to: [{networks: [192.0.2.0/24]}]}])"));
  CHECK(examiner.selecting(one(examiner, "x/a"), Direction::ingress).size() == 1);
  CHECK(examiner.selecting(one(examiner, "x/a"), Direction::egress).size() == 1);
  CHECK(examiner.selecting(one(examiner, "y/a"), Direction::ingress).empty());
}

TEST_CASE("a block is told in the parts that rules tell apart") {
  Examiner examiner = examiner_of(conformance_cluster() + network_policy("x", "p", R"(
    podSelector: {}
    ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.128/26]}}]}])"));
  CHECK(examiner.find("192.0.2.0/25")->size() == 1);
  CHECK(examiner.find("192.0.2.0/25")->front().name == "192.0.2.0/25");
  const Result<std::vector<End>> parts = examiner.find("192.0.2.0/23");
  REQUIRE(parts);
  REQUIRE(parts->size() == 2);  // inside; what is excepted is judged as what lies outside
  std::vector<bool> allowed;
  for (const End& part : *parts)
    allowed.push_back(examiner.ask(part, one(examiner, "x/a"), Protocol::tcp, 80)->allowed());
  CHECK(allowed == std::vector<bool>{true, false});
  CHECK(one(examiner, "10.0.1.1").name == "x/a");  // a pod's address is the pod
}

TEST_CASE("what is no end is said, with the nearest name") {
  const Examiner examiner = examiner_of(conformance_cluster());
  const Result<std::vector<End>> typo = examiner.find("x/aa");
  REQUIRE(typo.has_error());
  CHECK(typo.error().code == Code::not_found);
  CHECK(typo.error().hint.find("x/a") != std::string::npos);
  CHECK(examiner.find("a").error().code == Code::invalid_argument);
  CHECK(examiner.find("10.0.0.1/33").has_error());
}

TEST_CASE("pods without an address are judged by their labels, those that ended are nobody") {
  Examiner examiner = examiner_of(
      conformance_cluster() + pod("x", "new", "pod: new", "spec: {}\nstatus: {phase: Pending}") +
      pod("x", "job", "pod: job", "status: {phase: Succeeded, podIP: 10.0.1.9}") + network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: new}}}]}])"));
  CHECK(one(examiner, "x/new").unaddressed);
  CHECK(ask(examiner, "x/new", "x/a").allowed());
  CHECK_FALSE(ask(examiner, "x/b", "x/a").allowed());
  CHECK(examiner.find("x/job").has_error());
}

TEST_CASE("a pod on the host's network without an address, and one that waits for one, have nothing to be asked by") {
  Examiner examiner =
      examiner_of(pod("x", "agent", "pod: agent", "spec: {hostNetwork: true}\nstatus: {phase: Pending}") +
                  pod("x", "new", "pod: new", "spec: {}\nstatus: {phase: Pending}"));
  const End host = one(examiner, "x/agent"), waiting = one(examiner, "x/new");
  CHECK(Examiner::common_families(host, waiting).empty());
  CHECK(Examiner::common_families(waiting, host).empty());
  CHECK_FALSE(examiner.ask(host, waiting, Protocol::tcp, 80));
  CHECK(examiner.ask(waiting, waiting, Protocol::tcp, 80));
}

TEST_CASE("what is on the host's network is the node: its own pods are open to it, others are not") {
  const auto placed = [](const char* name, const char* node, const char* address, bool host) {
    return pod("x", name, std::string("pod: ") + name,
               std::string("spec: {nodeName: ") + node + (host ? ", hostNetwork: true}" : "}") +
                   "\nstatus: {podIP: " + address + "}");
  };
  Examiner examiner = examiner_of(conformance_cluster() + placed("near", "n1", "10.0.9.1", false) +
                                  placed("agent", "n1", "10.9.0.1", true) + placed("far", "n2", "10.9.0.2", true) +
                                  network_policy("x", "deny", "podSelector: {}"));
  CHECK(ask(examiner, "x/agent", "x/near").ingress.reason == Verdict::Reason::own_node);
  CHECK_FALSE(ask(examiner, "x/far", "x/near").allowed());
  CHECK(ask(examiner, "x/near", "x/agent").allowed());
}

TEST_CASE("property: answers about pods are the oracle's") {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    const agreement::Objects objects = random_objects::Generator(seed).objects();
    Result<Examiner> examiner = Examiner::of(agreement::list(objects));
    REQUIRE(examiner);
    std::vector<ObjectRef> placed;  // as the examiner sees them: with the addresses that it gave
    for (const auto& [key, object] : objects)
      if (key.kind != ObjectKey::Kind::pod) placed.push_back(object);
    for (const End& end : examiner->pods()) {
      Pod pod = *end.pod;
      placed.push_back(std::make_shared<const Object>(std::move(pod)));
    }
    const oracle::Oracle truth(placed, "");
    for (const End& from : examiner->pods()) {
      for (const End& to : examiner->pods()) {
        if (from.endpoint == nullptr || to.endpoint == nullptr || from.pod == to.pod) continue;
        for (const bool v4 : Examiner::common_families(from, to)) {
          const auto at = [v4](const End& end) {
            for (const Address& address : end.addresses)
              if (address.is_v4() == v4) return address;
            return end.addresses.front();
          };
          for (const auto& probe : random_objects::Generator::probes(objects)) {
            if (probe.protocol == Protocol::icmp || probe.protocol == Protocol::icmpv6) continue;
            const auto answer = examiner->ask(from, to, probe.protocol, probe.port, v4);
            REQUIRE(answer);
            INFO("seed " << seed << " " << from.name << " -> " << to.name << " port " << probe.port);
            REQUIRE(answer->egress.allowed == truth.allows_egress(*from.pod, {at(to), probe.protocol, probe.port}));
            REQUIRE(answer->ingress.allowed == truth.allows_ingress(*to.pod, {at(from), probe.protocol, probe.port}));
          }
        }
      }
    }
  }
}
