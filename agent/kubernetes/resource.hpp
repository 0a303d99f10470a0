// Where a kind of object stands in the API, and what is asked of it.
#pragma once

#include <string>
#include <string_view>

namespace omnitide::kubernetes {

struct Name {
  std::string space, name;  // space: the namespace, empty for what belongs to the cluster
  friend bool operator==(const Name&, const Name&) = default;
};

// "group/version" or, of the core, "version".
struct Resource {
  std::string_view api, plural;
  bool built_in = true;  // has a protobuf form
};

inline constexpr Resource kNamespaces{"v1", "namespaces"}, kPods{"v1", "pods"}, kNodes{"v1", "nodes"},
    kNetworkPolicies{"networking.k8s.io/v1", "networkpolicies"}, kLeases{"coordination.k8s.io/v1", "leases"},
    kDaemonSets{"apps/v1", "daemonsets"};

// What a list or a watch is limited to; empty: everything.
struct Scope {
  std::string space{}, labels{}, fields{};  // as "spec.nodeName=node-1"
};

inline constexpr std::string_view kProtobufType = "application/vnd.kubernetes.protobuf", kJsonType = "application/json",
                                  kApplyType = "application/apply-patch+yaml";

[[nodiscard]] std::string collection_path(const Resource& resource, std::string_view space);
[[nodiscard]] std::string object_path(const Resource& resource, const Name& name, std::string_view subresource = {});
// "&labelSelector=...&fieldSelector=...", percent-encoded.
[[nodiscard]] std::string selectors_of(const Scope& scope);

}  // namespace omnitide::kubernetes
