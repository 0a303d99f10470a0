#include "tests/bench/policy_cluster.hpp"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

namespace omnitide::bench {

namespace {

constexpr unsigned kApplications = 10;
constexpr unsigned kNone = ~0U;

std::string team(const Cluster& cluster, unsigned i) { return fmt::format("team-{}", i % cluster.namespaces); }
std::string application(const Cluster& cluster, unsigned i) {
  return fmt::format("app-{}", i / cluster.namespaces % kApplications);
}

}  // namespace

std::string pod_address(unsigned i) { return fmt::format("10.{}.{}.{}", 64 + i / 65536, i / 256 % 256, i % 256); }

std::string namespace_text(const Cluster& cluster, unsigned i) {
  const std::string name = team(cluster, i);
  return fmt::format(R"(---
apiVersion: v1
kind: Namespace
metadata:
  labels:
    kubernetes.io/metadata.name: {0}
    team: {0}
  name: {0}
spec:
  finalizers:
  - kubernetes
status:
  phase: Active
)",
                     name);
}

std::string pod_text(const Cluster& cluster, unsigned i, bool moved) {
  return fmt::format(R"(---
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: "2025-11-03T08:15:00Z"
  generateName: web-c{0:x}-
  labels:
    app: {1}
    pod-template-hash: c{2:07x}
  name: web-{0}
  namespace: {3}
  ownerReferences:
  - apiVersion: apps/v1
    controller: true
    kind: ReplicaSet
    name: web-{2:x}
    uid: 6b1a9c1e-0f2d-4d57-9b6a-{0:012x}
  resourceVersion: "{0}"
spec:
  containers:
  - env:
    - name: LEVEL
      value: info
    image: registry.example/web:1.4.2
    imagePullPolicy: IfNotPresent
    name: web
    ports:
    - containerPort: 8080
      name: http
      protocol: TCP
    resources:
      limits:
        memory: 128Mi
      requests:
        cpu: 50m
  nodeName: {4}
  restartPolicy: Always
  serviceAccountName: default
  tolerations:
  - effect: NoExecute
    key: node.kubernetes.io/not-ready
    operator: Exists
    tolerationSeconds: 300
status:
  conditions:
  - lastTransitionTime: "2025-11-03T08:15:02Z"
    status: "True"
    type: Ready
  phase: Running
  podIP: {5}
  podIPs:
  - ip: {5}
)",
                     i, application(cluster, moved ? i + cluster.namespaces : i), i / 3, team(cluster, i),
                     i < cluster.local ? "here" : "there", pod_address(i));
}

std::string policy_text(const Cluster& cluster, unsigned i) {
  std::string out = fmt::format(R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  creationTimestamp: "2025-11-03T08:15:00Z"
  generation: 1
  name: policy-{}
  namespace: {}
spec:
)",
                                i, team(cluster, i));
  const unsigned sort = (i + i / cluster.namespaces) % 10;
  if (sort == 0) return out + "  podSelector: {}\n  policyTypes:\n  - Ingress\n";
  out += fmt::format("  podSelector:\n    matchLabels:\n      app: {}\n", application(cluster, i));
  if (sort == 1) {
    return out + R"(  egress:
  - ports:
    - port: 8080
      protocol: TCP
    to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 10.0.0.0/8
        - 172.16.0.0/12
  policyTypes:
  - Egress
)";
  }
  out += "  ingress:\n  - from:\n    - podSelector:\n        matchLabels:\n";
  out += fmt::format("          app: {}\n", application(cluster, i + cluster.namespaces));
  if (sort % 2 == 1) {
    out += fmt::format("      namespaceSelector:\n        matchLabels:\n          kubernetes.io/metadata.name: {}\n",
                       team(cluster, i + 1));
  }
  return out + fmt::format("    ports:\n    - port: {}\n      protocol: TCP\n  policyTypes:\n  - Ingress\n",
                           sort % 3 == 0 ? "http" : "8080");
}

std::string whole_text(const Cluster& cluster) {
  std::string out;
  for (unsigned i = 0; i < cluster.namespaces; ++i)
    out += team_text(cluster, i, kNone);
  return out;
}

std::string team_text(const Cluster& cluster, unsigned team, unsigned moved_pod) {
  std::string out = namespace_text(cluster, team);
  for (unsigned i = team; i < cluster.pods; i += cluster.namespaces)
    out += pod_text(cluster, i, i == moved_pod);
  for (unsigned i = team; i < cluster.policies; i += cluster.namespaces)
    out += policy_text(cluster, i);
  return out;
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

void write_files(const Cluster& cluster, const std::string& directory, bool single) {
  for (unsigned i = 0; i < cluster.namespaces; ++i) {
    const std::string name = team(cluster, i) + ".yaml";
    write_text(directory + "/" + name, single ? namespace_text(cluster, i) : team_text(cluster, i, kNone));
  }
  if (!single) return;
  for (unsigned i = 0; i < cluster.pods; ++i)
    write_text(fmt::format("{}/pod-{}.yaml", directory, i), pod_text(cluster, i));
  for (unsigned i = 0; i < cluster.policies; ++i)
    write_text(fmt::format("{}/policy-{}.yaml", directory, i), policy_text(cluster, i));
}

}  // namespace omnitide::bench
