// Policies of three pods of this node and many of another one, in versions that tell themselves apart by what they let
// pass.
#pragma once

#include <fmt/format.h>

#include <string>

namespace omnitide::test {

inline constexpr unsigned kServer = 1, kClient = 2, kOther = 3;  // RoutedPod's numbers

inline std::string shop_pod(const char* name, unsigned number) {
  return fmt::format(
      "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {0}\n  namespace: shop\n  labels:\n    app: {0}\n"
      "spec:\n  nodeName: node-a\nstatus:\n  podIP: 10.50.{1}.2\n",
      name, number);
}

inline std::string policy_head(const std::string& name, const char* app) {
  return fmt::format(
      "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {}\n  namespace: shop\n"
      "spec:\n  podSelector:\n    matchLabels:\n      app: {}\n",
      name, app);
}

// The client may connect to the server; nobody may connect to the client, so that what comes back to it passes only as
// part of a connection that is known. Of the other pod the server takes datagrams to one of two ports.
inline std::string shop(unsigned version) {
  std::string out = shop_pod("server", kServer) + shop_pod("client", kClient) + shop_pod("other", kOther);
  out += policy_head("client", "client") +
         "  policyTypes:\n  - Ingress\n  - Egress\n  egress:\n  - to:\n    - podSelector:\n        matchLabels:\n"
         "          app: server\n    ports:\n    - port: 5201\n";
  out += policy_head("server", "server") +
         fmt::format(
             "  ingress:\n  - from:\n    - podSelector:\n        matchLabels:\n          app: client\n    ports:\n"
             "    - port: 5201\n  - from:\n    - podSelector:\n        matchLabels:\n          app: other\n"
             "    ports:\n    - protocol: UDP\n      port: {}\n",
             version % 2 == 0 ? 7001 : 7002);
  return out;
}

// What makes an update long: pods elsewhere whose labels change with each version, and rules about them.
inline std::string crowd(unsigned version) {
  std::string out = "---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: crowd\n";
  for (unsigned i = 0; i < 150; ++i) {
    out += fmt::format(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p{0}\n  namespace: crowd\n  labels:\n    shift: s{1}\n"
        "spec:\n  nodeName: node-b\nstatus:\n  podIP: 10.60.0.{0}\n",
        i, (i + version) % 11);
  }
  for (unsigned i = 0; i < 40; ++i) {
    out += policy_head(fmt::format("crowd-{}", i), "server") +
           fmt::format(
               "  ingress:\n  - from:\n    - namespaceSelector: {{}}\n      podSelector:\n        matchLabels:\n"
               "          shift: s{}\n    ports:\n    - port: {}\n",
               (i + version) % 11, 8000 + i);
  }
  // So many objects that the version can be told from their number.
  for (unsigned i = 0; i < version % 97; ++i)
    out += fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: mark-{}\n", i);
  return out;
}
inline unsigned objects_of(unsigned version) { return 3 + 2 + 1 + 150 + 40 + version % 97; }

}  // namespace omnitide::test
