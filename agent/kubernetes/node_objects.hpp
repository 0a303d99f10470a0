// What the agent writes about its node, as bodies for server-side apply: values in, JSON out. All of them are objects
// of the Node that they are about, so that they go with it.
#pragma once

#include <chrono>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/kubernetes/resource.hpp"
#include "agent/model/node_facts.hpp"

namespace omnitide::kubernetes {

// Who owns a field that the agent has set; `kubectl get --show-managed-fields` shows it.
inline constexpr std::string_view kFieldManager = "omnitide-agent";
// Prefixes of the labels that the agent may set: docs/labels.md. The admission policy in manifests/ has them too.
inline constexpr std::string_view kOwnLabels = "omnitide.io/", kFeatureLabels = "feature.node.kubernetes.io/";

inline constexpr Resource kNodeInventories{"omnitide.io/v1alpha1", "nodeinventories", false},
    kNodeFeatures{"nfd.k8s-sigs.io/v1alpha1", "nodefeatures", false};

using LabelMap = std::map<std::string, std::string>;

struct OwnerNode {
  std::string name, uid;
};

// "omnitide-node-NAME": never a slot's name (omnitide-slot-N), whatever a Node is called.
[[nodiscard]] Name heartbeat_name(std::string_view space, std::string_view node);

struct Heartbeat {
  std::chrono::seconds duration{60};  // after which without a renewal the agent counts as gone
  WallTime acquired{}, renewed{};
};
// coordination.k8s.io/v1 Lease, as the kubelet's own in kube-node-lease.
[[nodiscard]] std::string heartbeat_body(std::string_view space, const OwnerNode& node, const Heartbeat& heartbeat);

// The object without its status, which has a subresource of its own.
[[nodiscard]] std::string inventory_body(const OwnerNode& node);
// `addresses`: the Node's; the device that has one of them is listed, whatever kind it is.
[[nodiscard]] std::string inventory_status_body(std::string_view node, const model::NodeFacts& facts,
                                                std::span<const std::string> addresses, std::string_view agent_version);

// Node Feature Discovery's request for labels, for its master to carry out.
[[nodiscard]] std::string node_feature_body(std::string_view space, const OwnerNode& node, const LabelMap& labels);

// The Node with these labels and nothing else: those of an earlier body that are not in this one go. With its UID, so
// that a Node that is gone is not made anew.
[[nodiscard]] std::string node_labels_body(const OwnerNode& node, const LabelMap& labels);

}  // namespace omnitide::kubernetes
