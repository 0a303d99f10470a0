// Namespace, Pod and Node: what kubectl prints of them.
#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

std::string pod_of(std::string_view spec, std::string_view status = "{}", std::string_view metadata = "") {
  return fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: web, namespace: shop{}}}\nspec: {{{}}}\nstatus: {}\n", metadata,
      spec, status);
}
Pod good(std::string_view spec, std::string_view status = "{}", std::string_view metadata = "") {
  return only<Pod>(pod_of(spec, status, metadata));
}

}  // namespace

TEST_CASE("a pod's addresses are podIPs, else podIP") {
  CHECK(good("", "{podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}").addresses ==
        std::vector<Address>{address("10.0.0.1"), address("fd00::1")});
  CHECK(good("", "{podIP: 10.0.0.1}").addresses == std::vector<Address>{address("10.0.0.1")});
  CHECK(good("", "{podIP: '', podIPs: []}").addresses.empty());
  CHECK(good("", "~").addresses.empty());
  CHECK(faults_of(pod_of("", "{podIPs: [{ip: 10.0.0.256}]}")) ==
        Texts{"5: Pod shop/web: status.podIPs[0].ip: \"10.0.0.256\" is no IP address"});
  CHECK(faults_of(pod_of("", "{podIPs: [{ip: 10.0.0.1}, {ip: 10.0.0.2}]}")) ==
        Texts{"5: Pod shop/web: status.podIPs[1]: is a second address of the same family"});
}

TEST_CASE("finished pods are known by their phase; terminating ones stay governed") {
  CHECK(good("", "{phase: Succeeded}").finished);
  CHECK(good("", "{phase: Failed}").finished);
  CHECK_FALSE(good("", "{phase: Running}").finished);
  CHECK_FALSE(good("", "{phase: Pending}").finished);
  CHECK_FALSE(good("", "{phase: Running}", ", deletionTimestamp: '2026-01-01T00:00:00Z'").finished);
}

TEST_CASE("named ports are those of containers and of sidecars") {
  const Pod pod = good(
      "nodeName: n1, hostNetwork: true, containers: [{name: a, ports: [{name: web, containerPort: 80}, {containerPort: "
      "81},"
      " {name: dns, containerPort: 53, protocol: UDP}]}, {name: b}],"
      " initContainers: [{name: c, restartPolicy: Always, ports: [{name: proxy, containerPort: 15001}]},"
      " {name: d, ports: [{name: never, containerPort: 1}]}]");
  CHECK(pod.ports == std::vector<NamedPort>{
                         {"dns", Protocol::udp, 53}, {"proxy", Protocol::tcp, 15001}, {"web", Protocol::tcp, 80}});
  CHECK(pod.node == "n1");
  CHECK(pod.host_network);
  CHECK_FALSE(good("hostNetwork: false").host_network);
  CHECK(faults_of(pod_of("hostNetwork: 'true'")).size() == 1);
  CHECK(faults_of(pod_of("containers: [{ports: [{name: web}]}]")) ==
        Texts{"4: Pod shop/web: spec.containers[0].ports[0].containerPort: is required"});
  CHECK(faults_of(pod_of("containers: [{ports: [{name: Web, containerPort: 70000}]}]")).size() == 2);
}

TEST_CASE("annotations name the device and loosen the check of sources") {
  const auto annotated = [](std::string_view annotations) {
    return parse(pod_of("", "{}", fmt::format(", annotations: {{{}}}", annotations)), kFile);
  };
  const auto pod = [](const Parsed& parsed) { return std::get<Pod>(parsed.objects.at(0)); };
  CHECK(pod(annotated("omnitide.io/interface: veth12")).interface == "veth12");
  CHECK(pod(annotated("omnitide.io/allow-source: any")).any_source);
  const Parsed bad = annotated("omnitide.io/interface: a/b, omnitide.io/allow-source: all");
  CHECK(pod(bad).interface.empty());
  CHECK_FALSE(pod(bad).any_source);
  CHECK(
      texts(bad.faults) ==
      Texts{
          "note 3: Pod shop/web: metadata.annotations[\"omnitide.io/interface\"]: \"a/b\" must not have '/', ':', white"
          " space or what is not ASCII; the device is looked for by the pod's address",
          "note 3: Pod shop/web: metadata.annotations[\"omnitide.io/allow-source\"]: \"all\" means nothing here;"
          " source addresses are checked (the one value is any)"});
  CHECK(annotated("omnitide.io/interface: [x]").objects.empty());
  CHECK(pod(annotated("other: [x]")).interface.empty());
}

TEST_CASE("labels are sorted, and a namespace has the label of its name") {
  const auto space = only<Namespace>(
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: x, kubernetes.io/metadata.name: lie, a: "
      "b}}\n");
  CHECK(space.labels == Labels{{"a", "b"}, {"kubernetes.io/metadata.name", "shop"}, {"team", "x"}});
  CHECK(only<Namespace>("{apiVersion: v1, kind: Namespace, metadata: {name: n}}").labels ==
        Labels{{"kubernetes.io/metadata.name", "n"}});
  // One letter is a name, not YAML 1.1's truth value.
  CHECK(only<Namespace>("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: y\n").name == "y");
  CHECK(faults_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: a.b}\n").size() == 1);
  CHECK(faults_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n").size() == 1);
  CHECK(good("", "{}", ", labels: {b: y, a: x}").labels == Labels{{"a", "x"}, {"b", "y"}});
  CHECK(faults_of(pod_of("", "{}", ", labels: {a: yes}")).size() == 1);
  CHECK(faults_of(pod_of("", "{}", ", labels: {'a b': x}")).size() == 1);
}

TEST_CASE("a node's addresses are those that are addresses") {
  const auto node = only<Node>(
      "apiVersion: v1\nkind: Node\nmetadata: {name: n1.example, labels: {zone: a}}\nspec: {podCIDR: 10.1.0.0/24}\n"
      "status: {addresses: [{type: Hostname, address: n1}, {type: InternalIP, address: 192.168.0.1},"
      " {type: ExternalIP, address: '2001:db8::1'}, {type: InternalIP, address: 192.168.0.1},"
      " {type: InternalDNS, address: n1.local}]}\n");
  CHECK(node.name == "n1.example");
  CHECK(node.labels == Labels{{"zone", "a"}});
  CHECK(node.addresses == std::vector<Address>{address("192.168.0.1"), address("2001:db8::1")});
}

TEST_CASE("fields that policy does not know are skipped in core objects") {
  CHECK(good("tolerations: [{key: a, operator: Exists}], future: {deep: [1, {a: ~}]}", "{qosClass: Burstable}",
             ", ownerReferences: [{kind: ReplicaSet}], managedFields: [{fieldsV1: {'f:metadata': {}}}]")
            .name == "web");
}
