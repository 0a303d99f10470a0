// ClusterNetworkPolicy v1alpha2 by the schema of both channels (network-policy-api v0.2.0).
#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

constexpr std::string_view kHead =
    "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: p}\n";

std::string policy_of(std::string_view spec) {
  return fmt::format("{}spec: {{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, {}}}\n", kHead, spec);
}
std::string rule_of(std::string_view rule, bool ingress = false) {
  return policy_of(fmt::format("{}: [{{{}}}]", ingress ? "ingress" : "egress", rule));
}

Texts without_name(Texts faults, std::string_view path) {
  const std::string name = "4: ClusterNetworkPolicy p: spec";
  for (std::string& fault : faults) {
    if (fault.starts_with(name)) fault.erase(0, name.size());
    if (fault.starts_with(path)) fault.erase(0, path.size());
  }
  return faults;
}
Texts wrong(const std::string& text, std::string_view path = "") {
  const Parsed parsed = parse(text, kFile);
  CHECK(parsed.objects.empty());
  CHECK(parsed.refused.size() == 1);
  return without_name(texts(parsed.faults), path);
}
Texts wrong_rule(std::string_view rule, bool ingress = false) {
  return wrong(rule_of(rule, ingress), ingress ? ".ingress[0]" : ".egress[0]");
}
ClusterNetworkPolicy good(const std::string& text) { return only<ClusterNetworkPolicy>(text); }

std::string repeated(std::string_view item, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i)
    out += (i == 0 ? "" : ", ") + fmt::format(fmt::runtime(item), i);
  return out;
}

}  // namespace

TEST_CASE("a whole cluster policy is read as it is meant") {
  const auto policy = good(std::string(kHead) + R"(spec:
  tier: Baseline
  priority: 1000
  subject:
    pods:
      namespaceSelector: {matchLabels: {team: x}}
      podSelector: {matchLabels: {app: db}}
  ingress:
  - name: from front
    action: Accept
    from:
    - namespaces: {matchLabels: {team: y}}
    - pods: {podSelector: {}}
    protocols:
    - tcp: {destinationPort: {number: 5432}}
    - udp: {destinationPort: {range: {start: 10, end: 20}}}
    - sctp: {destinationPort: {number: 1}}
    - destinationNamedPort: db
  egress:
  - action: Deny
    to:
    - networks: [10.0.0.0/8, "fd00::/8"]
    - nodes: {matchLabels: {zone: a}}
  - action: Pass
    to: [{namespaces: {}}]
)");
  CHECK(policy.tier == Tier::baseline);
  CHECK(policy.priority == 1000);
  CHECK(policy.subject_namespaces.requirements == std::vector<Requirement>{{"team", Operator::in, {"x"}}});
  CHECK(policy.subject_pods.requirements == std::vector<Requirement>{{"app", Operator::in, {"db"}}});
  REQUIRE(policy.ingress.size() == 1);
  const Rule& in = policy.ingress[0];
  CHECK(in.name == "from front");
  CHECK(in.line == 12);
  CHECK(in.action == Action::accept);
  REQUIRE(in.peers.size() == 2);
  CHECK(in.peers[0].namespaces.requirements == std::vector<Requirement>{{"team", Operator::in, {"y"}}});
  CHECK(in.peers[1] == Peer{});
  CHECK(in.ports == std::vector<PortMatch>{{Protocol::tcp, 5432, 5432, ""},
                                           {Protocol::udp, 10, 20, ""},
                                           {Protocol::sctp, 1, 1, ""},
                                           {Protocol::any, 0, 0, "db"}});
  REQUIRE(policy.egress.size() == 2);
  CHECK(policy.egress[0].action == Action::deny);
  CHECK(policy.egress[0].peers[0].kind == Peer::Kind::blocks);
  CHECK(policy.egress[0].peers[0].blocks == std::vector<Block>{{prefix("10.0.0.0/8"), {}}, {prefix("fd00::/8"), {}}});
  CHECK(policy.egress[0].peers[1].kind == Peer::Kind::nodes);
  CHECK(policy.egress[0].peers[1].nodes.requirements == std::vector<Requirement>{{"zone", Operator::in, {"a"}}});
  CHECK(policy.egress[1].action == Action::pass);
  CHECK(policy.egress[1].ports.empty());
  for (const Rule& rule : policy.egress)
    CHECK_FALSE(rule.any_peer);
}

TEST_CASE("tier, priority and subject are required and bounded") {
  const auto spec = [](std::string_view text) { return wrong(fmt::format("{}spec: {{{}}}\n", kHead, text)); };
  CHECK(spec("") == Texts{".tier: is required (Admin or Baseline)",
                          ".priority: is required (0 to 1000; lower ones come first)",
                          ".subject: is required (subject: {namespaces: {}} is every pod)"});
  CHECK(spec("tier: admin, priority: 1, subject: {namespaces: {}}") ==
        Texts{".tier: \"admin\" is no tier (use Admin or Baseline)"});
  CHECK(spec("tier: Admin, priority: 1001, subject: {namespaces: {}}") == Texts{".priority: must be from 0 to 1000"});
  CHECK(spec("tier: Admin, priority: -1, subject: {namespaces: {}}") == Texts{".priority: must be from 0 to 1000"});
  CHECK(spec("tier: Admin, priority: '1', subject: {namespaces: {}}") ==
        Texts{".priority: must be a number and is text (take the quotes away)"});
  CHECK(spec("tier: Admin, priority: 1, subject: {}") == Texts{".subject: must have exactly one of namespaces, pods"});
  CHECK(spec("tier: Admin, priority: 1, subject: {namespaces: {}, pods: {podSelector: {}}}").size() == 1);
  CHECK(spec("tier: Admin, priority: 1, subject: {pods: {namespaceSelector: {}}}") ==
        Texts{".subject.pods.podSelector: is required (podSelector: {} selects every pod)"});
  CHECK(spec("tier: Admin, priority: 1, subject: {namespace: {}}").size() == 1);
  CHECK(faults_of(kHead) == Texts{"1: ClusterNetworkPolicy p: spec: is required"});
  CHECK(
      faults_of("apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\n"
                "metadata: {name: p, namespace: a}\nspec: {tier: Admin, priority: 1, subject: {namespaces: {}}}\n") ==
      Texts{
          "3: ClusterNetworkPolicy p: metadata.namespace: must not be set: a ClusterNetworkPolicy is in no namespace"});
  CHECK(good(policy_of("ingress: []")).priority == 1);
  CHECK(good(fmt::format("{}spec: {{tier: Admin, priority: 0, subject: {{namespaces: {{}}}}}}\n", kHead)).priority ==
        0);
}

TEST_CASE("actions and peers are required, and there are at most 25 of each") {
  CHECK(wrong_rule("to: [{namespaces: {}}]") == Texts{".action: is required (Accept, Deny or Pass)"});
  CHECK(wrong_rule("action: Allow, to: [{namespaces: {}}]") ==
        Texts{".action: \"Allow\" is no action (write Accept; Allow was the older AdminNetworkPolicy's)"});
  CHECK(wrong_rule("action: deny, to: [{namespaces: {}}]").size() == 1);
  CHECK(wrong_rule("action: Deny") == Texts{".to: is required (at least one item)"});
  CHECK(wrong_rule("action: Deny, to: []") == Texts{".to: must have at least one item"});
  CHECK(wrong_rule("action: Deny, from: [{namespaces: {}}]").size() == 2);
  CHECK(wrong_rule("action: Deny, to: [{namespaces: {}}], protocols: []") ==
        Texts{".protocols: must have at least one item"});
  CHECK(wrong_rule(fmt::format("action: Deny, to: [{}]", repeated("{{namespaces: {{}}}}", 26))) ==
        Texts{".to: has 26 items; 25 is the limit"});
  CHECK(wrong_rule(fmt::format("action: Deny, to: [{{namespaces: {{}}}}], protocols: [{}]",
                               repeated("{{tcp: {{destinationPort: {{number: 1}}}}}}", 26))) ==
        Texts{".protocols: has 26 items; 25 is the limit"});
  CHECK(wrong(policy_of(fmt::format("egress: [{}]", repeated("{{action: Deny, to: [{{namespaces: {{}}}}]}}", 26)))) ==
        Texts{".egress: has 26 items; 25 is the limit"});
  CHECK(wrong_rule(fmt::format("action: Deny, to: [{{networks: [{}]}}]", repeated("10.{}.0.0/16", 26))) ==
        Texts{".to[0].networks: has 26 items; 25 is the limit"});
  CHECK(good(rule_of(fmt::format("action: Deny, to: [{{networks: [{}]}}]", repeated("10.{}.0.0/16", 25))))
            .egress[0]
            .peers[0]
            .blocks.size() == 25);
  CHECK(good(policy_of(fmt::format("egress: [{}]", repeated("{{action: Deny, to: [{{namespaces: {{}}}}]}}", 25))))
            .egress.size() == 25);
}

TEST_CASE("a rule's name has at most 100 characters, not bytes") {
  std::string name;
  for (int i = 0; i < 100; ++i)
    name += "\xc3\xa4";
  CHECK(good(rule_of(fmt::format("name: {}, action: Deny, to: [{{namespaces: {{}}}}]", name))).egress[0].name == name);
  CHECK(wrong_rule(fmt::format("name: {}a, action: Deny, to: [{{namespaces: {{}}}}]", name)) ==
        Texts{".name: has more than 100 characters"});
}

TEST_CASE("a peer has exactly one field") {
  const auto peer = [](std::string_view text) { return wrong_rule(fmt::format("action: Accept, to: [{}]", text)); };
  CHECK(peer("{}") == Texts{".to[0]: must have exactly one of namespaces, pods, networks, nodes, domainNames"});
  CHECK(peer("{namespaces: {}, nodes: {}}").size() == 1);
  CHECK(peer("~") == Texts{".to[0]: is empty (write the item, or take its '-' away)"});
  CHECK(peer("{pods: {}}") == Texts{".to[0].pods.podSelector: is required (podSelector: {} selects every pod)"});
  CHECK(peer("{pods: {podSelector: {}, namespaceSelektor: {}}}") ==
        Texts{".to[0].pods.namespaceSelektor: is not known here (did you mean namespaceSelector?)"});
  CHECK(peer("{networks: []}") == Texts{".to[0].networks: must have at least one item"});
  CHECK(peer("{networks: [10.0.0.0]}").size() == 1);
  CHECK(peer("{networks: [10.0.0.0/8, 10.0.0.0/8]}") == Texts{".to[0].networks[1]: is in the list a second time"});
  CHECK(peer("{networks: [010.0.0.0/8]}") ==
        Texts{".to[0].networks[0]: \"010.0.0.0/8\" is no CIDR (leading zeros are ambiguous; write 10.0.0.0/8)"});
  CHECK(peer("{nodes: {matchExpressions: [{key: a, operator: In}]}}").size() == 1);
  CHECK(peer("{namespaces: []}") == Texts{".to[0].namespaces: must be a map and is a list"});
}

TEST_CASE("peers that cannot be judged fail closed, with a remark") {
  const auto unknown = [](std::string_view rule) {
    const Parsed parsed = parse(rule_of(rule), kFile);
    REQUIRE(parsed.objects.size() == 1);
    CHECK(std::get<ClusterNetworkPolicy>(parsed.objects[0]).egress.at(0).peers.at(0).kind == Peer::Kind::unknown);
    return without_name(texts(parsed.faults), "");
  };
  CHECK(unknown("action: Accept, to: [{domainNames: ['*.example.com', example.com.]}]") ==
        Texts{"note 4: ClusterNetworkPolicy p: spec.egress[0].to[0].domainNames: peers by domainNames cannot be judged"
              " here: they match nothing"});
  CHECK(unknown("action: Deny, to: [{domainNames: [a.b]}]") ==
        Texts{"note 4: ClusterNetworkPolicy p: spec.egress[0].to[0].domainNames: peers by domainNames cannot be judged"
              " here: the rule denies everything"});
  // What a later version of the API has.
  CHECK(unknown("action: Deny, to: [{serviceAccounts: {}}]").size() == 1);
  CHECK(unknown("action: Pass, to: [{externalGroups: [x]}]").size() == 1);
  // A typing error is none of these, nor is a peer of the other direction.
  CHECK(wrong_rule("action: Deny, to: [{namespace: {}}]") ==
        Texts{".to[0].namespace: is not known here (did you mean namespaces?)"});
  CHECK(wrong_rule("action: Deny, from: [{networks: [10.0.0.0/8]}]", true) ==
        Texts{".from[0].networks: is not known in an ingress rule (known are namespaces, pods)"});
  CHECK(wrong_rule("action: Deny, from: [{nodes: {}}]", true).size() == 1);
}

TEST_CASE("domain names are checked by the schema's pattern") {
  const auto domain = [](std::string_view name) {
    return parse(rule_of(fmt::format("action: Accept, to: [{{domainNames: ['{}']}}]", name)), kFile).objects.size() ==
           1;
  };
  for (const char* name : {"example.com", "*.example.com", "a.b.", "a_b.c", "A.example.COM", "1.2"})
    CHECK(domain(name));
  for (const char* name : {"example", "*", "*.com", "a.*.com", "-a.com", "a-.com", "a..b", ".a.b", "a b.c", ""})
    CHECK_FALSE(domain(name));
}

TEST_CASE("protocols have exactly one field, and ports are bounded") {
  const auto protocol = [](std::string_view text) {
    return wrong(rule_of(fmt::format("action: Accept, to: [{{namespaces: {{}}}}], protocols: [{}]", text)),
                 ".egress[0].protocols[0]");
  };
  CHECK(protocol("{}") == Texts{": must have exactly one of tcp, udp, sctp, destinationNamedPort"});
  CHECK(protocol("{tcp: {destinationPort: {number: 1}}, udp: {destinationPort: {number: 1}}}").size() == 1);
  CHECK(protocol("{tcp: {}}") == Texts{".tcp.destinationPort: is required"});
  CHECK(protocol("{tcp: ~}").size() == 1);
  CHECK(protocol("{tcp: {destinationPort: {}}}") ==
        Texts{".tcp.destinationPort: must have exactly one of number, range"});
  CHECK(protocol("{tcp: {destinationPort: {number: 1, range: {start: 1, end: 2}}}}").size() == 1);
  CHECK(protocol("{tcp: {destinationPort: {number: 0}}}") ==
        Texts{".tcp.destinationPort.number: must be from 1 to 65535"});
  CHECK(protocol("{tcp: {destinationPort: {number: http}}}").size() == 1);
  CHECK(protocol("{udp: {destinationPort: {range: {start: 2, end: 2}}}}") ==
        Texts{".udp.destinationPort.range: must have a start below its end"});
  CHECK(protocol("{udp: {destinationPort: {range: {start: 2}}}}") ==
        Texts{".udp.destinationPort.range.end: is required"});
  CHECK(protocol("{udp: {destinationPort: {range: {start: 1, end: 65536}}}}").size() == 1);
  CHECK(protocol("{icmp: {}}").size() == 2);
  CHECK(protocol("{tcp: {sourcePort: {number: 1}}}").size() == 2);
  CHECK(protocol("{destinationNamedPort: ''}") == Texts{".destinationNamedPort: is empty"});
  CHECK(protocol("{destinationNamedPort: 80}").size() == 1);
}

TEST_CASE("named ports stand beside pods only") {
  const std::string named = "protocols: [{destinationNamedPort: web}]";
  CHECK(good(rule_of("action: Accept, to: [{namespaces: {}}], " + named)).egress[0].ports[0].name == "web");
  for (const char* peer : {"{networks: [10.0.0.0/8]}", "{nodes: {}}", "{domainNames: [a.b]}"}) {
    CAPTURE(peer);
    const Texts faults = wrong_rule(fmt::format("action: Accept, to: [{{namespaces: {{}}}}, {}], {}", peer, named));
    CHECK(faults.back() == ".protocols: must not have named ports: networks, nodes and domainNames have none");
  }
}
