#include "agent/policy/store.hpp"

#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

const Source kA{0, "a.yaml"}, kB{0, "b.yaml"}, kRegistry{1, "a.registry"};

Parsed parsed(const std::string& file, std::string_view text) { return parse(text, file); }
std::string space(std::string_view name, std::string_view team = "x") {
  return fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {}, labels: {{team: {}}}}}\n", name,
                     team);
}
std::string policy_text(std::string_view port) {
  return fmt::format(
      "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: n}}\n"
      "spec:\n  podSelector: {{}}\n  ingress:\n  - ports: [{{port: {}}}]\n",
      port);
}
Changes put(Store& store, const Source& source, std::string_view text) {
  std::vector<SourceUpdate> updates;
  updates.push_back({source, parsed(source.name, text)});
  return store.apply(std::move(updates));
}
Changes take_away(Store& store, const Source& source) {
  std::vector<SourceUpdate> updates;
  updates.push_back({source, std::nullopt});
  return store.apply(std::move(updates));
}
// "+Namespace a" "-Namespace b" "~Namespace c", sorted.
Texts said(const Changes& changes) {
  Texts out;
  for (const ObjectRef& object : changes.upserts)
    out.push_back("+" + describe(key_of(*object)));
  for (const ObjectKey& key : changes.removals)
    out.push_back("-" + describe(key));
  for (const ObjectRef& object : changes.relocated)
    out.push_back("~" + describe(key_of(*object)));
  std::sort(out.begin(), out.end());
  return out;
}
ObjectKey space_key(std::string_view name) { return {ObjectKey::Kind::name_space, {}, std::string(name)}; }
std::string team(const Store& store, std::string_view name) {
  const ObjectRef object = store.find(space_key(name));
  return object ? *find_label(std::get<Namespace>(*object).labels, "team") : "absent";
}

}  // namespace

TEST_CASE("a source's new content gives what changed, and no more") {
  Store store;
  CHECK(said(put(store, kA, space("a") + space("b"))) == Texts{"+Namespace a", "+Namespace b"});
  CHECK(put(store, kA, space("a") + space("b")).empty());
  CHECK(said(put(store, kA, space("a") + space("b", "y"))) == Texts{"+Namespace b"});
  CHECK(team(store, "b") == "y");
  CHECK(said(put(store, kA, space("b", "y") + space("c"))) == Texts{"+Namespace c", "-Namespace a", "~Namespace b"});
  CHECK(store.size() == 2);
  CHECK(said(take_away(store, kA)) == Texts{"-Namespace b", "-Namespace c"});
  CHECK(store.size() == 0);
  CHECK(take_away(store, kA).empty());
  CHECK_FALSE(store.find(space_key("a")));
}

TEST_CASE("an object that only moved is the same for the compiler") {
  Store store;
  (void)put(store, kA, policy_text("80"));
  CHECK(said(put(store, kA, "# a comment\n" + policy_text("80"))) == Texts{"~NetworkPolicy n/p"});
  CHECK(origin_of(*store.objects().at(0)).line == 3);
  CHECK(said(put(store, kA, "# a comment\n" + policy_text("81"))) == Texts{"+NetworkPolicy n/p"});
  // From one file to another in one step: no moment without it.
  std::vector<SourceUpdate> updates;
  updates.push_back({kA, std::nullopt});
  updates.push_back({kB, parsed("b.yaml", policy_text("81"))});
  CHECK(said(store.apply(std::move(updates))) == Texts{"~NetworkPolicy n/p"});
  CHECK(origin_of(*store.objects().at(0)).file == "b.yaml");
}

TEST_CASE("every field that a verdict depends on makes another content, its place does not") {
  const auto object = [](std::string_view text) { return parsed("f", text).objects.at(0); };
  const auto changed = [&object](const std::string& text, std::string_view from, std::string_view to) {
    std::string other = text;
    REQUIRE(other.find(from) != std::string::npos);
    other.replace(other.find(from), from.size(), to);
    CAPTURE(other);
    CHECK_FALSE(same_content(object(text), object(other)));
    CHECK(same_content(object(text), object("\n\n" + text)));
  };
  const std::string pod =
      "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: n, labels: {a: b}, annotations: "
      "{omnitide.io/interface: v1,"
      " omnitide.io/allow-source: any}}, spec: {nodeName: m, hostNetwork: true, containers: [{ports: [{name: p,"
      " containerPort: 1}]}]}, status: {phase: Failed, podIP: 10.0.0.1}}";
  for (const auto& [from, to] :
       std::vector<std::pair<std::string, std::string>>{{"name: a", "name: z"},
                                                        {"namespace: n", "namespace: z"},
                                                        {"a: b", "a: c"},
                                                        {"v1,\n", "v2"},
                                                        {": any", ": all"},
                                                        {"nodeName: m", "nodeName: z"},
                                                        {"true", "false"},
                                                        {"containerPort: 1", "containerPort: 2"},
                                                        {"Failed", "Running"},
                                                        {"10.0.0.1", "10.0.0.2"},
                                                        {"interface: v1", "interface: v2"}}) {
    if (from != "v1,\n") changed(pod, from, to);
  }
  const std::string policy =
      "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, annotations: "
      "{omnitide.io/established: keep}},"
      " spec: {podSelector: {matchLabels: {a: b}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {}}], "
      "ports: [{port: 1}]}],"
      " egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}}";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"keep", "no-"},
           {"a: b", "a: c"},
           {"[Ingress]", "[Egress]"},
           {"[{podSelector: {}}]", "[]"},
           {"port: 1", "port: 2"},
           {"10.0.0.0/8", "10.0.0.0/9"},
           {"cidr: 10.0.0.0/8", "cidr: 10.0.0.0/8, except: [10.1.0.0/16]"}})
    changed(policy, from, to);
  const std::string cluster =
      "{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: a}, spec: {tier: "
      "Admin,"
      " priority: 1, subject: {pods: {podSelector: {matchLabels: {a: b}}, namespaceSelector: {matchLabels: {c: d}}}},"
      " egress: [{name: r, action: Deny, to: [{nodes: {matchLabels: {e: f}}}]}]}}";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"Admin", "Baseline"},
                                                                                 {"priority: 1", "priority: 2"},
                                                                                 {"a: b", "a: c"},
                                                                                 {"c: d", "c: e"},
                                                                                 {"name: r", "name: s"},
                                                                                 {"Deny", "Pass"},
                                                                                 {"e: f", "e: g"}})
    changed(cluster, from, to);
  const std::string host =
      "{apiVersion: omnitide.io/v1alpha1, kind: HostPolicy, metadata: {name: a}, spec: {nodeSelector: {matchLabels: "
      "{a: b}},"
      " interfaces: [e0], deny: [10.0.0.0/8], failSafe: {ingress: [{port: 1}], egress: [{port: 2}]}, policyTypes: "
      "[Egress],"
      " ingress: [{ports: [{port: 3}]}]}}";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{{"a: b", "a: c"},
                                                                                 {"e0", "e1"},
                                                                                 {"10.0.0.0/8", "11.0.0.0/8"},
                                                                                 {"port: 1", "port: 9"},
                                                                                 {"port: 2", "port: 9"},
                                                                                 {"port: 3", "port: 9"},
                                                                                 {"[Egress]", "[Ingress]"}})
    changed(host, from, to);
  const std::string node =
      "{apiVersion: v1, kind: Node, metadata: {name: a, labels: {a: b}}, status: {addresses: [{type: InternalIP, "
      "address: 10.0.0.1}]}}";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"a: b", "a: c"}, {"10.0.0.1", "10.0.0.2"}, {"InternalIP", "Hostname"}})
    changed(node, from, to);
}

TEST_CASE("the first source in order holds, and the others are told") {
  Store store;
  CHECK(said(put(store, kB, space("a", "b"))) == Texts{"+Namespace a"});
  CHECK(put(store, kRegistry, space("a", "registry")).empty());
  CHECK(team(store, "a") == "b");
  CHECK(texts(store.faults()) ==
        Texts{"a.registry:2: Namespace a: b.yaml:2 says it too, and comes first (take one of the two away)"});
  CHECK(said(put(store, kA, space("a", "a"))) == Texts{"+Namespace a"});
  CHECK(team(store, "a") == "a");
  CHECK(store.faults().size() == 2);
  CHECK(take_away(store, kB).empty());
  CHECK(said(take_away(store, kA)) == Texts{"+Namespace a"});
  CHECK(team(store, "a") == "registry");
  CHECK(store.faults().empty());
  CHECK(said(take_away(store, kRegistry)) == Texts{"-Namespace a"});
  // The same said twice is only a remark.
  (void)put(store, kA, space("a"));
  (void)put(store, kB, space("a"));
  REQUIRE(store.faults().size() == 1);
  CHECK(store.faults()[0].applied);
}

TEST_CASE("an object that went wrong keeps its last good version") {
  Store store;
  (void)put(store, kA, policy_text("80") + space("a"));
  const ObjectRef good = store.find({ObjectKey::Kind::network_policy, "n", "p"});
  CHECK(said(put(store, kA, policy_text("0") + space("a", "y"))) == Texts{"+Namespace a"});
  CHECK(store.find({ObjectKey::Kind::network_policy, "n", "p"}) == good);
  CHECK(texts(store.faults()) ==
        Texts{"a.yaml:8: NetworkPolicy n/p: spec.ingress[0].ports[0].port: must be from 1 to 65535",
              "a.yaml:8: NetworkPolicy n/p: its last good version holds (put the object right, or take it away)"});
  // Still so at the next reading; put right, or taken away, it is another matter.
  CHECK(put(store, kA, policy_text("0") + space("a", "y")).empty());
  CHECK(store.size() == 2);
  CHECK(said(put(store, kA, policy_text("81") + space("a", "y"))) == Texts{"+NetworkPolicy n/p"});
  (void)put(store, kA, policy_text("0") + space("a", "y"));
  CHECK(said(put(store, kA, space("a", "y"))) == Texts{"-NetworkPolicy n/p", "~Namespace a"});
  CHECK(store.faults().empty());
  // One that was never right is not there.
  CHECK(put(store, kB, policy_text("0")).empty());
  CHECK(store.size() == 1);
}

TEST_CASE("a text that could not be read to its end changes nothing, and is taken as it is the first time") {
  Store store;
  (void)put(store, kA, space("a") + space("b"));
  CHECK(put(store, kA, space("a", "y") + "---\nkind: [").empty());
  CHECK(team(store, "a") == "x");
  CHECK(store.size() == 2);
  REQUIRE(store.faults().size() == 2);
  CHECK(store.faults()[1].text() ==
        "a.yaml: nothing of it is applied; its last good content holds (put the file right)");
  CHECK(said(put(store, kA, space("a", "y"))) == Texts{"+Namespace a", "-Namespace b"});
  CHECK(store.faults().empty());
  CHECK(said(put(store, kB, space("c") + "---\nkind: [")) == Texts{"+Namespace c"});
}

TEST_CASE("faults are of the sources and objects that have them now") {
  Store store;
  (void)put(store, kB, policy_text("0") + space("a"));
  (void)put(store, kA, space("a", "y") + policy_text("-1"));
  REQUIRE(store.faults().size() == 3);
  CHECK(store.faults()[0].file == "a.yaml");
  CHECK(store.faults()[1].file == "b.yaml");
  CHECK(store.faults()[2].object == "Namespace a");
  (void)put(store, kA, space("b"));
  REQUIRE(store.faults().size() == 1);
  CHECK(store.faults()[0].file == "b.yaml");
  (void)take_away(store, kB);
  CHECK(store.faults().empty());
  // Nothing is left of it when it comes again.
  (void)put(store, kB, space("a"));
  CHECK(store.faults().empty());
}

TEST_CASE("skipped objects are counted, and a source may be named twice in one step") {
  Store store;
  (void)put(store, kA, "---\nkind: Service\napiVersion: v1\n" + space("a"));
  (void)put(store, kB, "---\nkind: Service\napiVersion: v1\n");
  CHECK(store.skipped() == 2);
  std::vector<SourceUpdate> updates;
  updates.push_back({kA, std::nullopt});
  updates.push_back({kA, std::nullopt});
  updates.push_back({kB, std::nullopt});
  updates.push_back({kB, parsed("b.yaml", space("b"))});
  CHECK(said(store.apply(std::move(updates))) == Texts{"+Namespace b", "-Namespace a"});
  CHECK(store.skipped() == 0);
  Store moved = std::move(store);
  CHECK(said(take_away(moved, kB)) == Texts{"-Namespace b"});
}
