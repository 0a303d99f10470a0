#include "agent/kubernetes/node_objects.hpp"

#include <utility>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"

namespace omnitide::kubernetes {

namespace json = boost::json;

namespace {

json::object labels_object(const LabelMap& labels) {
  json::object out;
  for (const auto& [key, value] : labels)
    out[key] = json_text(value);
  return out;
}

json::object owned_by(const OwnerNode& node) {
  json::object owner;
  owner["apiVersion"] = "v1";
  owner["kind"] = "Node";
  owner["name"] = json_text(node.name);
  owner["uid"] = json_text(node.uid);
  json::object out;
  out["ownerReferences"] = json::array{std::move(owner)};
  return out;
}

json::object object_with(std::string_view version, std::string_view kind, json::object metadata) {
  json::object out;
  out["apiVersion"] = json_text(version);
  out["kind"] = json_text(kind);
  out["metadata"] = std::move(metadata);
  return out;
}

// meta/v1 MicroTime.
std::string micro_time(WallTime time) {
  std::string out = format_rfc3339(time);
  out.insert(out.size() - 1, "000");
  return out;
}

}  // namespace

Name heartbeat_name(std::string_view space, std::string_view node) {
  return {std::string(space), "omnitide-node-" + std::string(node)};
}

std::string heartbeat_body(std::string_view space, const OwnerNode& node, const Heartbeat& heartbeat) {
  json::object metadata = owned_by(node);
  metadata["name"] = json_text(heartbeat_name(space, node.name).name);
  metadata["namespace"] = json_text(space);
  json::object spec;
  spec["holderIdentity"] = json_text(node.name);
  spec["leaseDurationSeconds"] = heartbeat.duration.count();
  spec["acquireTime"] = json_text(micro_time(heartbeat.acquired));
  spec["renewTime"] = json_text(micro_time(heartbeat.renewed));
  json::object out = object_with(kLeases.api, "Lease", std::move(metadata));
  out["spec"] = std::move(spec);
  return json::serialize(out);
}

std::string inventory_body(const OwnerNode& node) {
  json::object metadata = owned_by(node);
  metadata["name"] = json_text(node.name);
  return json::serialize(object_with(kNodeInventories.api, "NodeInventory", std::move(metadata)));
}

std::string node_feature_body(std::string_view space, const OwnerNode& node, const LabelMap& labels) {
  json::object metadata = owned_by(node);
  metadata["name"] = json_text(node.name);
  metadata["namespace"] = json_text(space);
  json::object node_name;
  node_name["nfd.node.kubernetes.io/node-name"] = json_text(node.name);
  metadata["labels"] = std::move(node_name);
  json::object features;
  for (const std::string_view part : {"flags", "attributes", "instances"})  // not every master bears their absence
    features[part] = json::object();
  json::object spec;
  spec["features"] = std::move(features);
  spec["labels"] = labels_object(labels);
  json::object out = object_with(kNodeFeatures.api, "NodeFeature", std::move(metadata));
  out["spec"] = std::move(spec);
  return json::serialize(out);
}

std::string node_labels_body(const OwnerNode& node, const LabelMap& labels) {
  json::object metadata;
  metadata["name"] = json_text(node.name);
  metadata["uid"] = json_text(node.uid);
  if (!labels.empty()) metadata["labels"] = labels_object(labels);
  return json::serialize(object_with("v1", "Node", std::move(metadata)));
}

}  // namespace omnitide::kubernetes
