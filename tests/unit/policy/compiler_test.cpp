// The compiler's promises beside the meaning of policies: sharing, small updates, limits, stable numbers.
#include <fmt/format.h>

#include <algorithm>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy_world.hpp"

using namespace omnitide;
using namespace omnitide::policy;

namespace {

std::string running(const std::string& address) { return "status: {phase: Running, podIPs: [{ip: " + address + "}]}"; }

Changes upsert(Object object) {
  return {.upserts = {std::make_shared<const Object>(std::move(object))}, .removals = {}, .relocated = {}};
}

NetworkPolicy policy_of_rules(unsigned rules) {
  NetworkPolicy out;
  out.name_space = "x";
  out.name = "many";
  for (unsigned i = 0; i < rules; ++i) {
    Rule& rule = out.ingress.emplace_back();
    rule.any_peer = true;
    const auto port = static_cast<std::uint16_t>(i + 1);
    rule.ports = {{.protocol = Protocol::tcp, .first = port, .last = port, .name = {}}};
  }
  return out;
}

Pod plain_pod() {
  Pod out;
  out.name_space = "x";
  out.name = "a";
  out.addresses = {*parse_address("10.0.0.1")};
  return out;
}

}  // namespace

TEST_CASE("both roots are locations from the first step on") {
  Compiler compiler({.node_name = ""});
  const Result<PlanUpdate> update = compiler.apply({});
  REQUIRE(update);
  REQUIRE(update->locations.size() == 2);
  CHECK(format(update->locations[0].prefix) == "::/0");
  CHECK(format(update->locations[1].prefix) == "0.0.0.0/0");
  CHECK(update->locations[0].identity == kWorld);
  CHECK(update->locations[1].identity == kWorld);
  CHECK(compiler.apply({})->empty());
  CHECK(compiler.everything().locations.size() == 2);
}

TEST_CASE("endpoints with the same rules share a set, also across namespaces") {
  const World world(conformance_cluster() + network_policy("x", "deny", "podSelector: {}") +
                    network_policy("y", "deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
  const SetId shared = world.plan().endpoint("x/a")->ingress;
  CHECK(world.plan().endpoint("x/b")->ingress == shared);
  CHECK(world.plan().endpoint("y/c")->ingress == shared);
  CHECK(world.plan().endpoint("y/c")->egress == shared);
  CHECK(world.plan().endpoint("x/a")->egress == kOpen);
  CHECK(world.compiler().use().sets == 1);
}

TEST_CASE("a label change writes what it touches and nothing else") {
  World world(conformance_cluster() + network_policy("x", "p", R"(
    podSelector: {matchLabels: {pod: a}}
    ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}])") +
              network_policy("z", "p", "podSelector: {}"));
  const SetId before = world.plan().endpoint("x/a")->ingress;
  const PlanUpdate update = world.apply(pod("x", "b", "pod: b, version: two", running("10.0.1.2")));
  CHECK(update.sets.empty());
  REQUIRE(update.locations.size() == 1);
  REQUIRE(update.rows.size() == 1);
  CHECK(update.rows.front().set == before);
  CHECK(update.rows.front().identity == update.locations.front().identity);
  REQUIRE(update.endpoints.size() == 1);
  CHECK(update.endpoints.front().name == "x/b");
  CHECK(update.gone_rows.size() == 1);
  CHECK(update.gone_locations.size() == 1);  // its IPv6 address
}

TEST_CASE("a policy whose rules stay keeps its sets: another subject, another line, another file") {
  const std::string text =
      network_policy("x", "p", "{podSelector: {matchLabels: {pod: a}}, ingress: [{ports: [{port: 80}]}]}");
  World world(conformance_cluster() + text);
  const SetId before = world.plan().endpoint("x/a")->ingress;
  CHECK(world.apply("# a comment moves the lines\n\n" + text).empty());
  const Verdict verdict = world.verdict(Direction::ingress, "x/a", "y/a", "80");
  CHECK(world.compiler().rule_origin(verdict.origin)->where.line < 20);
  world.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"));
  CHECK(world.plan().endpoint("x/a")->ingress == before);
  CHECK(world.plan().endpoint("x/b")->ingress == before);
  world.apply(network_policy("x", "p", "{podSelector: {}, ingress: [{ports: [{port: 81}]}]}"));
  CHECK(world.plan().endpoint("x/a")->ingress != before);
}

TEST_CASE("what is relocated has its new line, and nothing is published") {
  NetworkPolicy policy = policy_of_rules(1);
  policy.origin = {.file = "old.yaml", .line = 1};
  policy.ingress[0].line = 5;
  Compiler compiler({.node_name = ""});
  REQUIRE(compiler.apply(upsert(plain_pod())));
  const Result<PlanUpdate> update = compiler.apply(upsert(policy));
  REQUIRE(update);
  REQUIRE(update->sets.size() == 1);
  const std::uint32_t origin = update->sets[0].rules.at(0).origin;
  CHECK(compiler.rule_origin(origin)->where.line == 5);
  policy.origin.file = "new.yaml";
  policy.ingress[0].line = 9;
  const Result<PlanUpdate> moved =
      compiler.apply({.upserts = {}, .removals = {}, .relocated = {std::make_shared<const Object>(policy)}});
  REQUIRE(moved);
  CHECK(moved->empty());
  CHECK(compiler.rule_origin(origin)->where.file == "new.yaml");
  CHECK(compiler.rule_origin(origin)->where.line == 9);
}

TEST_CASE("a block around all pods needs no row for each of them") {
  std::string yaml = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", peers;
  for (int i = 1; i <= 100; ++i) {
    yaml += pod("x", fmt::format("p{}", i), fmt::format("id: p{}", i), running(fmt::format("10.0.0.{}", i)));
    peers += fmt::format("\n      - podSelector: {{matchLabels: {{id: p{}}}}}", i);
  }
  // What makes them different to the node, with a row for each.
  yaml += network_policy("x", "in", "\n    podSelector: {}\n    ingress:\n    - from:" + peers);
  const World world(yaml + network_policy("x", "out", R"(
    podSelector: {}
    policyTypes: [Egress]
    egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}])"));
  CHECK(world.egress("x/p1", "x/p100"));
  CHECK_FALSE(world.egress("x/p1", "169.254.169.254"));
  CHECK_FALSE(world.egress("x/p1", "2001:db8::1"));
  CHECK(world.compiler().use().identities > 100);
  CHECK(world.compiler().use().rows <= 104);
}

TEST_CASE("what no policy of this node's pods asks for makes no identity and no row") {
  std::string yaml;
  for (int i = 0; i < 100; ++i) {
    const std::string space = fmt::format("n{}", i);
    yaml +=
        fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {}, labels: {{team: t{}}}}}\n", space, i);
    yaml += pod(space, "web", fmt::format("app: web, version: v{}", i), running(fmt::format("10.1.0.{}", i)));
    yaml += pod(space, "other", fmt::format("app: other, version: v{}", i), running(fmt::format("10.2.0.{}", i)));
    // Of pods that are elsewhere.
    yaml += network_policy(space, "p",
                           fmt::format(R"(
    podSelector: {{matchLabels: {{app: web}}}}
    ingress: [{{from: [{{podSelector: {{matchLabels: {{version: v{}}}}}}}]}}])",
                                       i));
  }
  yaml +=
      "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: n0, name: here, labels: {app: here}}\nspec: {nodeName: "
      "here}\n" +
      running("10.3.0.1") + "\n";
  const std::string open = network_policy("n0", "in", R"(
    podSelector: {matchLabels: {app: here}}
    ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}])");
  World world(yaml + open, "here");
  CHECK(world.ingress("n7/web", "n0/here"));
  CHECK_FALSE(world.ingress("n7/other", "n0/here"));
  CHECK(world.compiler().use().identities <= 4);
  CHECK(world.compiler().use().rows == 1);
  CHECK(world.apply(pod("n7", "web", "app: web, version: two", running("10.1.0.7"))).empty());

  // A selector that comes into use moves the pods that it tells apart, and no others; when it goes, they move back.
  const PlanUpdate more = world.apply(network_policy("n0", "more", R"(
    podSelector: {matchLabels: {app: here}}
    ingress: [{from: [{namespaceSelector: {matchLabels: {team: t7}}}]}])"));
  CHECK(more.locations.size() == 2);
  CHECK(world.ingress("n7/other", "n0/here"));
  CHECK_FALSE(world.ingress("n8/other", "n0/here"));
  const std::size_t identities = world.compiler().use().identities;
  world.remove(ObjectKey::Kind::network_policy, "n0", "more");
  CHECK(world.ingress("n7/web", "n0/here"));
  CHECK_FALSE(world.ingress("n7/other", "n0/here"));
  CHECK(world.compiler().use().identities < identities);
}

TEST_CASE("policies that select no pod of this node cost no prefixes and no sets") {
  const std::string here =
      "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: x, name: a}\nspec: {nodeName: here}\n" +
      running("10.0.0.1") + "\n";
  const std::string there =
      "---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: z, name: b}\nspec: {nodeName: there}\n" +
      running("10.0.0.2") + "\n";
  const std::string policy = network_policy("z", "p", R"(
    podSelector: {}
    ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}])");
  World world(here + there + policy, "here");
  CHECK(world.plan().endpoints().size() == 1);
  CHECK(world.compiler().use().cidrs == 2);
  CHECK(world.compiler().use().sets == 0);
  CHECK(World(here + there + policy, "there").compiler().use().cidrs == 3);
}

TEST_CASE("an address that two pods claim goes to the first by name, and the other is told") {
  World world(pod("x", "a", "app: one", running("10.0.0.1")) + pod("x", "b", "app: two", running("10.0.0.1")) +
              network_policy("x", "p", "podSelector: {matchLabels: {app: one}}"));
  CHECK(world.plan().endpoint("x/b") == nullptr);
  CHECK_FALSE(world.ingress("192.0.2.1", "x/a"));
  const std::vector<Compiler::Conflict> conflicts = world.compiler().conflicts();
  REQUIRE(conflicts.size() == 1);
  CHECK(format(conflicts[0].address) == "10.0.0.1");
  REQUIRE(conflicts[0].claimants.size() == 2);
  CHECK(describe(conflicts[0].claimants[0]) == "Pod x/a");
  world.remove(ObjectKey::Kind::pod, "x", "a");
  CHECK(world.plan().endpoint("x/b") != nullptr);
  CHECK(world.compiler().conflicts().empty());
}

TEST_CASE("numbers start where they are told to") {
  Compiler compiler({.node_name = "", .limits = {}, .first_set = 500, .first_identity = kPodBit | 700U});
  REQUIRE(compiler.apply(upsert(plain_pod())));
  const Result<PlanUpdate> update = compiler.apply(upsert(policy_of_rules(1)));
  REQUIRE(update);
  CHECK(update->sets.at(0).id == 500);
  CHECK(compiler.everything().locations.back().identity == (kPodBit | 700U));
}

TEST_CASE("a set takes as many rules as its limit, and one more is refused by name, use and advice") {
  Compiler compiler({.node_name = ""});
  REQUIRE(compiler.apply(upsert(plain_pod())));
  const Result<PlanUpdate> full = compiler.apply(upsert(policy_of_rules(kMostRules)));
  REQUIRE(full);
  CHECK(full->sets.at(0).rules.size() == kMostRules);
  CHECK(compiler.use().rules == kMostRules);
  const Result<PlanUpdate> over = compiler.apply(upsert(policy_of_rules(kMostRules + 1)));
  REQUIRE(over.has_error());
  CHECK(over.error().code == Code::resource_exhausted);
  CHECK(over.error().field == "rules");
  CHECK(over.error().message.find("16385") != std::string::npos);
  CHECK(over.error().message.find("Pod x/a") != std::string::npos);
  CHECK_FALSE(over.error().hint.empty());
  CHECK(compiler.everything().sets.at(0).id == full->sets.at(0).id);
  CHECK(compiler.apply(upsert(policy_of_rules(1))));
}

TEST_CASE("each limit refuses the step that would pass it, and says which") {
  const auto refused_by = [](const CompilerLimits& limits, const Changes& changes) {
    Compiler compiler({.node_name = "node", .limits = limits});
    const Result<PlanUpdate> update = compiler.apply(changes);
    return update.has_error() ? update.error().field : std::string("nothing");
  };
  HostPolicy host;
  host.name = "host";
  host.deny = {*parse_prefix("192.0.2.0/24"), *parse_prefix("198.51.100.0/24")};
  NetworkPolicy policy = policy_of_rules(2);
  policy.ingress[0].any_peer = false;
  Peer& peer = policy.ingress[0].peers.emplace_back();
  peer.kind = Peer::Kind::blocks;
  peer.blocks = {{*parse_prefix("192.0.2.0/24"), {*parse_prefix("192.0.2.1/32")}}};
  Pod local = plain_pod();
  local.node = "node";
  Changes changes;
  for (const Object& object : std::initializer_list<Object>{host, policy, local})
    changes.upserts.push_back(std::make_shared<const Object>(object));
  CHECK(refused_by({}, changes) == "nothing");
  CHECK(refused_by({.rules = 1}, changes) == "rules");
  CHECK(refused_by({.total_rules = 1}, changes) == "total_rules");
  CHECK(refused_by({.identities = 2}, changes) == "identities");
  CHECK(refused_by({.cidrs = 3}, changes) == "cidrs");
  CHECK(refused_by({.addresses = 0}, changes) == "addresses");
  CHECK(refused_by({.sets = 1}, changes) == "sets");
  CHECK(refused_by({.rows = 2}, changes) == "rows");
  CHECK(refused_by({.endpoints = 1}, changes) == "endpoints");
  CHECK(refused_by({.deny = 1}, changes) == "deny");
}
