#include "agent/policy/lint.hpp"

#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

// Two namespaces, three pods, one of them on the host's network, and a node.
constexpr std::string_view kWorld = R"(
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: empty}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {containers: [{ports: [{name: http, containerPort: 80}, {name: dns, containerPort: 53, protocol: UDP}]}]}
status: {podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
status: {podIP: 10.1.0.2}
---
apiVersion: v1
kind: Pod
metadata: {name: host, namespace: shop, labels: {app: host}}
spec: {hostNetwork: true}
status: {podIP: 192.168.0.1}
---
apiVersion: v1
kind: Node
metadata: {name: n, labels: {zone: a}}
)";

std::string net_policy(std::string_view spec, std::string_view name_space = "shop") {
  return fmt::format(
      "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: {}}}\nspec: "
      "{{{}}}\n",
      name_space, spec);
}
std::string cluster_policy(std::string_view name, std::string_view spec) {
  return fmt::format(
      "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {}}}\n"
      "spec: {{{}}}\n",
      name, spec);
}
std::string host_policy(std::string_view spec) {
  return fmt::format("---\napiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata: {{name: h}}\nspec: {{{}}}\n",
                     spec);
}

std::vector<Fault> hints_of(const std::string& text) {
  Parsed parsed = parse(text, kFile);
  for (const Fault& fault : parsed.faults)
    REQUIRE(fault.applied);
  Store store;
  std::vector<SourceUpdate> updates;
  updates.push_back({Source{0, kFile}, std::move(parsed)});
  (void)store.apply(std::move(updates));
  return lint(store.objects());
}
// Hints without "note LINE: ".
Texts hints(const std::string& text) {
  Texts out = texts(hints_of(text));
  for (std::string& hint : out) {
    CHECK(hint.starts_with("note "));
    const std::size_t kind = hint.find_first_of("NCHPt", 5);
    hint.erase(0, kind);
  }
  return out;
}
Texts with_world(const std::string& text) { return hints(std::string(kWorld) + text); }

}  // namespace

TEST_CASE("a world where all is well has no hints") {
  CHECK(
      with_world(
          net_policy(
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: db}}},"
              " {namespaceSelector: {matchLabels: {team: a}}}, {ipBlock: {cidr: 203.0.113.0/24}}],"
              " ports: [{port: http}, {port: dns, protocol: UDP}]}]") +
          cluster_policy(
              "c", "tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]") +
          host_policy("deny: [10.0.0.0/8]")) == Texts{});
  CHECK(hints(std::string(kWorld)) == Texts{});
  CHECK(hints("") == Texts{});
}

TEST_CASE("a policy that selects no pod, or is in no namespace") {
  CHECK(with_world(net_policy("podSelector: {matchLabels: {app: wbe}}")) ==
        Texts{"NetworkPolicy shop/p: spec.podSelector: selects no pod (compare it with the labels of the pods)"});
  CHECK(with_world(net_policy("podSelector: {}", "empty")).size() == 1);
  CHECK(
      with_world(net_policy("podSelector: {}", "shpo")) ==
      Texts{"NetworkPolicy shpo/p: metadata.namespace: the namespace shpo is not here (compare it with the names of the"
            " namespaces)"});
  CHECK(with_world(cluster_policy("c",
                                  "tier: Admin, priority: 1, subject: {namespaces: {matchLabels: {team: b}}},"
                                  " egress: [{action: Deny, to: [{namespaces: {}}]}]")) ==
        Texts{"ClusterNetworkPolicy c: spec.subject: selects no pod (compare it with the labels of the pods)"});
  CHECK(with_world(host_policy("nodeSelector: {matchLabels: {zone: b}}, ingress: []")) ==
        Texts{"HostPolicy h: spec.nodeSelector: selects no node (compare it with the labels of the nodes)"});
}

TEST_CASE("pods on the host's network that a policy means") {
  const std::string hint =
      "selects shop/host, which is on the host's network, where policies of pods are not enforced (use a"
      " HostPolicy for the node itself)";
  CHECK(with_world(net_policy("podSelector: {matchLabels: {app: host}}")) ==
        Texts{"NetworkPolicy shop/p: spec.podSelector: " + hint});
  CHECK(with_world(net_policy("podSelector: {matchExpressions: [{key: app, operator: Exists}]}")).size() == 1);
  CHECK(with_world(net_policy("podSelector: {}")) == Texts{});
  CHECK(with_world(cluster_policy(
            "c",
            "tier: Admin, priority: 1, subject: {pods: {podSelector: {matchLabels: {app: host}}}},"
            " egress: [{action: Deny, to: [{nodes: {}}]}]")) == Texts{"ClusterNetworkPolicy c: spec.subject: " + hint});
}

TEST_CASE("peers that select nothing") {
  const auto peer = [](std::string_view text) {
    return with_world(
        net_policy(fmt::format("podSelector: {{}}, policyTypes: [Ingress], ingress: [{{}}, {{from: [{}]}}]", text)));
  };
  CHECK(
      peer("{podSelector: {matchLabels: {app: x}}}") ==
      Texts{"NetworkPolicy shop/p: spec.ingress[1].from[0]: selects no pod (compare it with the labels of the pods)"});
  CHECK(peer("{namespaceSelector: {matchLabels: {team: b}}}") ==
        Texts{"NetworkPolicy shop/p: spec.ingress[1].from[0]: selects no namespace (compare it with the labels of"
              " the namespaces)"});
  CHECK(peer("{podSelector: {matchLabels: {app: host}}}") ==
        Texts{"NetworkPolicy shop/p: spec.ingress[1].from[0]: selects only pods on the host's network, such as"
              " shop/host, and they are no peers (use the nodes' addresses)"});
  CHECK(
      with_world(cluster_policy("c",
                                "tier: Admin, priority: 1, subject: {pods: {podSelector: {matchLabels: {app: web}}}},"
                                " egress: [{action: Deny, to: [{nodes: {matchLabels: {zone: b}}}]}]")) ==
      Texts{"ClusterNetworkPolicy c: spec.egress[0].to[0]: selects no node (compare it with the labels of the nodes)"});
}

TEST_CASE("named ports that no pod at the far end has") {
  const auto ingress = [](std::string_view port) {
    return with_world(
        net_policy(fmt::format("podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{ports: [{}]}}]", port)));
  };
  CHECK(
      ingress("{port: htpp}") ==
      Texts{"NetworkPolicy shop/p: spec.ingress[0].ports[0]: none of the selected pods has a port named htpp: the entry"
            " matches nothing (compare it with the ports of the containers)"});
  CHECK(ingress("{port: dns}") ==
        Texts{"NetworkPolicy shop/p: spec.ingress[0].ports[0]: the port dns is one of UDP, not of"
              " TCP: the entry matches nothing (compare it with the ports of the containers)"});
  const auto egress = [](std::string_view app) {
    return with_world(
        net_policy(fmt::format("podSelector: {{matchLabels: {{app: db}}}}, policyTypes: [Egress], egress: [{{to:"
                               " [{{podSelector: {{matchLabels: {{app: {}}}}}}}], ports: [{{port: http}}]}}]",
                               app)));
  };
  CHECK(egress("web") == Texts{});
  CHECK(egress("db") ==
        Texts{"NetworkPolicy shop/p: spec.egress[0].ports[0]: none of the peers' pods has a port named http:"
              " the entry matches nothing (compare it with the ports of the containers)"});
  CHECK(with_world(cluster_policy(
                       "c",
                       "tier: Admin, priority: 1, subject: {pods: {podSelector: {matchLabels: {app: db}}}}, ingress:"
                       " [{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: http}]}]"))
            .at(0)
            .starts_with("ClusterNetworkPolicy c: spec.ingress[0].protocols[0]: none of the selected pods"));
}

TEST_CASE("blocks that cover pods, and blocks of which nothing is left") {
  const auto block = [](std::string_view text) {
    return with_world(net_policy(
        fmt::format("podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{from: [{{ipBlock: {{{}}}}}]}}]", text)));
  };
  CHECK(
      block("cidr: 10.1.0.0/16") ==
      Texts{
          "NetworkPolicy shop/p: spec.ingress[0].from[0]: 10.1.0.0/16 covers addresses of pods too, such as 10.1.0.1 of"
          " shop/web (except the pods' networks if only the outside is meant)"});
  CHECK(block("cidr: 10.1.0.0/16, except: [10.1.0.0/30]") == Texts{});
  CHECK(block("cidr: 10.1.0.0/16, except: [10.1.0.1/32]").size() == 1);
  CHECK(block("cidr: 0.0.0.0/0, except: [10.0.0.0/8]") == Texts{});
  CHECK(block("cidr: '::/0'").at(0).find("such as fd00::1 of") != std::string::npos);
  CHECK(block("cidr: 192.168.0.0/16") == Texts{});  // the host's own address is no pod's
  CHECK(
      block("cidr: 10.1.0.0/16, except: [10.1.0.0/17, 10.1.128.0/17]") ==
      Texts{
          "NetworkPolicy shop/p: spec.ingress[0].from[0]: its exceptions leave nothing of the block: it matches nothing"
          " (take the peer away)"});
  CHECK(block("cidr: 10.9.0.0/16, except: [10.9.0.0/17, 10.9.0.0/18, 10.9.64.0/18]") == Texts{});
}

TEST_CASE("cluster policies of equal priority, and without rules") {
  const std::string rest = ", subject: {namespaces: {}}, egress: [{action: Deny, to: [{nodes: {}}]}]";
  CHECK(with_world(cluster_policy("b", "tier: Admin, priority: 5" + rest) +
                   cluster_policy("a", "tier: Admin, priority: 5" + rest)) ==
        Texts{"ClusterNetworkPolicy b: spec.priority: is 5, as in a: of the two, a comes first by its name (give each "
              "its own"
              " priority)"});
  CHECK(with_world(cluster_policy("b", "tier: Admin, priority: 5" + rest) +
                   cluster_policy("a", "tier: Baseline, priority: 5" + rest)) == Texts{});
  CHECK(with_world(cluster_policy(
            "c", "tier: Admin, priority: 1, subject: {pods: {podSelector: {matchLabels: {app: web}}}}")) ==
        Texts{"ClusterNetworkPolicy c: spec: has no rules and does nothing"});
}

TEST_CASE("rules of a direction that is not isolated") {
  CHECK(with_world(net_policy("podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], egress: [{}]")) ==
        Texts{"NetworkPolicy shop/p: spec.policyTypes: has egress rules and does not name Egress: they do nothing (add "
              "Egress)"});
  CHECK(with_world(net_policy("podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], ingress: [{}]")).size() ==
        1);
  CHECK(with_world(host_policy("policyTypes: [Ingress], egress: [{}]")).size() == 1);
}

TEST_CASE("a device that a policy could lock") {
  CHECK(with_world(host_policy("ingress: [], failSafe: {ingress: []}")) ==
        Texts{"HostPolicy h: spec.failSafe.ingress: is empty: what the rules do not let in cannot reach the device at "
              "all (keep"
              " at least the port of a log-in)"});
}

TEST_CASE("pods without an address, with another's, and of an unknown namespace") {
  CHECK(with_world(
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: shop}, status: {phase: Pending}}\n") ==
        Texts{"Pod shop/new: status.podIPs: has no address yet, so nothing can be judged by it"});
  CHECK(with_world(
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: old, namespace: shop}, status: {phase: Failed}}\n") ==
        Texts{});
  CHECK(with_world(
            "---\n{apiVersion: v1, kind: Pod, metadata: {name: x, namespace: shop}, status: {podIP: 10.1.0.1}}\n") ==
        Texts{"Pod shop/x: status.podIPs: has the address 10.1.0.1 of shop/web too (one of the two is out of date)"});
  const std::string other =
      "---\n{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}, status: {podIP: 10.1.0.9}}\n";
  CHECK(with_world(other) ==
        Texts{"Pod x/a: metadata.namespace: the namespace x is not here, so selectors of its labels match"
              " nothing (add the Namespace)"});
}

TEST_CASE("policies alone: one hint, not one for each") {
  const std::vector<Fault> alone =
      hints_of(net_policy("podSelector: {}") + cluster_policy("c",
                                                              "tier: Admin, priority: 1, subject: {namespaces: {}},"
                                                              " ingress: [{action: Deny, from: [{namespaces: {}}]}]"));
  REQUIRE(alone.size() == 1);
  CHECK(alone[0].text() ==
        "there are no pods here, so what policies select is not looked at (add the pods: kubectl get"
        " ns,pods,netpol -A -o yaml)");
  const std::string pod =
      "---\n{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}, status: {podIP: 10.1.0.9}}\n";
  CHECK(hints(pod + net_policy("podSelector: {}", "x")) ==
        Texts{"there are no namespaces here, so selectors of their labels match nothing (add the namespaces: kubectl "
              "get ns -o"
              " yaml)"});
}

TEST_CASE("hints have a file and a line, and their number is bounded") {
  std::string text(kWorld);
  text += net_policy("podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: nope}]}]");
  const std::vector<Fault> one = hints_of(text);
  REQUIRE(one.size() == 1);
  CHECK(one[0].file == kFile);
  CHECK(one[0].line == 34);
  for (int i = 0; i < 1200; ++i)
    text += fmt::format("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{}, namespace: shop}}}}\n", i);
  const std::vector<Fault> many = hints_of(text);
  CHECK(many.size() == kMostHints + 1);
  CHECK(many.back().text() == "201 more hints");
}
