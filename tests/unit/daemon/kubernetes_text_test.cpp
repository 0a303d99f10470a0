// Objects of the API server mean what the same objects mean in a file.
#include "agent/daemon/kubernetes_text.hpp"

#include "agent/policy/parse.hpp"
#include "agent/policy/store.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
namespace k8s = omnitide::kubernetes;

namespace {

policy::Object parsed(const std::string& text) {
  policy::Parsed out = policy::parse(text, "test");
  INFO(text);
  for (const policy::Fault& fault : out.faults)
    UNSCOPED_INFO(fault.text());
  REQUIRE(out.faults.empty());
  REQUIRE(out.objects.size() == 1);
  return out.objects.front();
}

k8s::Meta meta(std::string space, std::string name, k8s::Labels labels = {}) {
  return {.name = {std::move(space), std::move(name)}, .uid = {}, .labels = std::move(labels)};
}

}  // namespace

TEST_CASE("a namespace of the API server is that of a file") {
  CHECK(policy::same_content(parsed(policy_text(k8s::Namespace{meta("", "shop", {{"team", "a.b"}})})),
                             parsed("{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a.b}}}")));
}

TEST_CASE("a pod with names, addresses, ports and annotations") {
  k8s::Pod pod;
  pod.meta = meta("shop", "web-0", {{"app", "web"}});
  pod.meta.annotations = {{"omnitide.io/allow-source", "any"}, {"omnitide.io/interface", "veth7"}};
  pod.node = "node-1";
  pod.addresses = {"10.244.1.5", "fd00:10:244:1::5"};
  pod.named_ports = {{"http", "TCP", 8080}, {"dns", "UDP", 53}};
  CHECK(policy::same_content(parsed(policy_text(pod)), parsed(R"(
apiVersion: v1
kind: Pod
metadata:
  name: web-0
  namespace: shop
  labels: {app: web}
  annotations: {omnitide.io/interface: veth7, omnitide.io/allow-source: any}
spec:
  nodeName: node-1
  containers:
  - {name: a, ports: [{name: http, containerPort: 8080}]}
  - {name: b, ports: [{name: dns, containerPort: 53, protocol: UDP}]}
status:
  phase: Running
  podIPs: [{ip: 10.244.1.5}, {ip: "fd00:10:244:1::5"}]
)")));
  pod.finished = pod.host_network = true;
  const auto other = std::get<policy::Pod>(parsed(policy_text(pod)));
  CHECK(other.finished);
  CHECK(other.host_network);
}

TEST_CASE("a node has its addresses") {
  k8s::Node node;
  node.meta = meta("", "node-1", {{"zone", "a"}});
  node.addresses = {{"InternalIP", "172.30.0.11"}, {"Hostname", "node-1"}};
  CHECK(policy::same_content(parsed(policy_text(node)), parsed(R"(
apiVersion: v1
kind: Node
metadata: {name: node-1, labels: {zone: a}}
status: {addresses: [{type: InternalIP, address: 172.30.0.11}, {type: Hostname, address: node-1}]}
)")));
}

TEST_CASE("a network policy: empty and absent lists, selectors, blocks, ports by number, range and name") {
  using Policy = k8s::NetworkPolicy;
  Policy policy;
  policy.meta = meta("shop", "web");
  policy.meta.annotations = {{"omnitide.io/established", "keep"}};
  policy.pods = {{{"app", "web"}}, {{"tier", "In", {"a", "b"}}, {"old", "DoesNotExist", {}}}};
  policy.types = {"Ingress", "Egress"};
  Policy::Rule from_all;
  from_all.ports = {
      {"TCP", 80, "", 90}, {"UDP", std::nullopt, "dns", std::nullopt}, {"SCTP", std::nullopt, "", std::nullopt}};
  Policy::Rule from_some;
  from_some.peers = {{k8s::Selector{}, std::nullopt, "", {}},
                     {std::nullopt, k8s::Selector{{{"team", "x"}}, {}}, "", {}},
                     {k8s::Selector{{{"app", "db"}}, {}}, k8s::Selector{}, "", {}},
                     {std::nullopt, std::nullopt, "10.0.0.0/8", {"10.1.0.0/16"}}};
  policy.ingress = {from_all, from_some};
  CHECK(policy::same_content(parsed(policy_text(policy)), parsed(R"(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop, annotations: {omnitide.io/established: keep}}
spec:
  podSelector:
    matchLabels: {app: web}
    matchExpressions: [{key: tier, operator: In, values: [a, b]}, {key: old, operator: DoesNotExist}]
  policyTypes: [Ingress, Egress]
  ingress:
  - ports: [{port: 80, endPort: 90}, {protocol: UDP, port: dns}, {protocol: SCTP}]
  - from:
    - podSelector: {}
    - namespaceSelector: {matchLabels: {team: x}}
    - {podSelector: {matchLabels: {app: db}}, namespaceSelector: {}}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
)")));
}
