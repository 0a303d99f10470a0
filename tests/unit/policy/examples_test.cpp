// What kubectl prints is valid as it is, and so is what the documentation shows.
#include "agent/base/file.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

TEST_CASE("what kubectl prints of namespaces, pods, policies and more is valid as it is") {
  const Parsed parsed = parse(R"yaml(apiVersion: v1
items:
- apiVersion: v1
  kind: Namespace
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Namespace","metadata":{"annotations":{},"name":"shop"}}
    creationTimestamp: "2026-01-31T12:00:00Z"
    labels:
      kubernetes.io/metadata.name: shop
    name: shop
    resourceVersion: "312"
    uid: 0d2a7b1e-9d0c-4b7a-8b1e-1d1f0e6a5c11
  spec:
    finalizers:
    - kubernetes
  status:
    phase: Active
- apiVersion: v1
  kind: Pod
  metadata:
    generateName: web-7c5ddbdf54-
    labels:
      app: web
      pod-template-hash: 7c5ddbdf54
    name: web-7c5ddbdf54-x2x7q
    namespace: shop
    ownerReferences:
    - apiVersion: apps/v1
      blockOwnerDeletion: true
      kind: ReplicaSet
      name: web-7c5ddbdf54
  spec:
    containers:
    - args:
      - -c
      - |
        while true; do
          echo "# not a comment: $(date)"
        done
      command: ["/bin/sh"]
      env:
      - name: GREETING
        value: 'it''s on, and a very long line that kubectl folds because it is wider
          than eighty columns'
      image: registry.example.com/web:1.2
      livenessProbe:
        httpGet:
          path: /
          port: http
      name: web
      ports:
      - containerPort: 8080
        name: http
        protocol: TCP
      resources: {}
      securityContext:
        capabilities:
          drop: [ALL]
    hostNetwork: false
    nodeName: node-1
    tolerations:
    - effect: NoExecute
      key: node.kubernetes.io/not-ready
      operator: Exists
      tolerationSeconds: 300
  status:
    conditions:
    - lastProbeTime: null
      message: 'containers with unready status: [web]'
      status: "True"
      type: Ready
    containerStatuses:
    - containerID: containerd://6a2b
      state:
        running:
          startedAt: "2026-01-31T12:00:01Z"
    phase: Running
    podIP: 10.244.1.7
    podIPs:
    - ip: 10.244.1.7
    qosClass: BestEffort
- apiVersion: v1
  kind: Service
  metadata:
    name: web
    namespace: shop
  spec:
    ports:
    - port: 80
      targetPort: http
- apiVersion: networking.k8s.io/v1
  kind: NetworkPolicy
  metadata:
    generation: 1
    name: web
    namespace: shop
  spec:
    podSelector:
      matchLabels:
        app: web
    policyTypes:
    - Ingress
kind: List
metadata:
  resourceVersion: ""
)yaml",
                              kFile);
  CHECK(texts(parsed.faults) == Texts{});
  CHECK(names(parsed.objects) == Texts{"Namespace shop", "Pod shop/web-7c5ddbdf54-x2x7q", "NetworkPolicy shop/web"});
  CHECK(parsed.skipped == 1);
  CHECK(parsed.complete);
  CHECK(origin_of(parsed.objects[1]).line == 20);
  const Pod& pod = std::get<Pod>(parsed.objects[1]);
  CHECK(pod.node == "node-1");
  CHECK(pod.ports == std::vector<NamedPort>{{"http", Protocol::tcp, 8080}});
}

TEST_CASE("the example in docs/policy.md is valid") {
  const auto page = read_file(fixture_path("../../docs/policy.md"));
  REQUIRE(page);
  const std::size_t from = page->find("```yaml\n");
  REQUIRE(from != std::string::npos);
  const std::size_t begin = from + 8;
  const Parsed parsed = parse(page->substr(begin, page->find("```", begin) - begin), kFile);
  CHECK(texts(parsed.faults) == Texts{});
  REQUIRE(names(parsed.objects) == Texts{"HostPolicy gateway"});
  const auto& policy = std::get<HostPolicy>(parsed.objects[0]);
  CHECK(policy.isolates_ingress);
  CHECK_FALSE(policy.isolates_egress);
  CHECK(policy.deny.size() == 2);
}

TEST_CASE("the custom resource definition knows the fields that the parser knows") {
  const auto crd = read_file(fixture_path("../../manifests/crds/hostpolicy.yaml"));
  REQUIRE(crd);
  // Other people's objects are skipped, this one too.
  CHECK(parse(*crd, kFile).faults.empty());
  CHECK(parse(*crd, kFile).skipped == 1);
  std::string spec;
  for (const char* field :
       {"nodeSelector: {}", "interfaces: []", "policyTypes: []", "deny: []", "failSafe: {ingress: [], egress: []}",
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: []}}], ports: [{protocol: TCP, port: 1, endPort: 2}]}]",
        "egress: [{to: []}]"}) {
    spec += std::string(spec.empty() ? "" : ", ") + field;
    const std::string_view name(field, std::string_view(field).find(':'));
    CHECK(crd->find("\n              " + std::string(name) + ":\n") != std::string::npos);
  }
  const Parsed parsed =
      parse("apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata: {name: a}\nspec: {" + spec + "}\n", kFile);
  CHECK(texts(parsed.faults) == Texts{});
}
