// Namespaces, pods and nodes: what identity and addresses they have, and which pods are endpoints here.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "agent/policy/address_table.hpp"
#include "agent/policy/policy_table.hpp"

namespace omnitide::policy {

class PodTable {
 public:
  PodTable(PeerIndex& peers, AddressTable& addresses, std::string node_name)
      : peers_(peers), addresses_(addresses), node_name_(std::move(node_name)) {}

  // Namespace, Pod or Node.
  void put(const ObjectKey& key, ObjectRef object);
  void take(const ObjectKey& key);
  void relocate(const ObjectKey& key, ObjectRef object);
  [[nodiscard]] ObjectRef find(const ObjectKey& key) const;  // null when there is none

  // Settles which pods are endpoints. Returns the pods that the changes since the last call concern; `profiles` gets
  // the profiles that got or lost an endpoint.
  [[nodiscard]] std::set<ObjectKey> settle(Profiles& profiles);
  // As the plan has it, with the sets of the pod's profile. Of an endpoint.
  [[nodiscard]] PlanEndpoint endpoint(const PodState& pod) const;
  [[nodiscard]] const PodState* find_endpoint(const ObjectKey& key) const;  // null when it is none

  [[nodiscard]] const Node* own_node() const;  // null when it is not known
  // Whether own_node() may be another since the last call.
  [[nodiscard]] bool take_own_node_touched() { return std::exchange(own_node_touched_, false); }

 private:
  void put_pod(PodState& pod);
  void put_node(const ObjectKey& key, NodeState& node);
  void take_pod(PodState& pod);
  void touch_namespace(const std::string& name);
  void claim(const ObjectKey& who, Profile* profile, std::vector<Address>& claimed, const std::vector<Address>& wanted);
  [[nodiscard]] ProfileKey profile_of(const Pod& pod) const;
  [[nodiscard]] bool is_local(const Pod& pod) const { return node_name_.empty() || pod.node == node_name_; }
  [[nodiscard]] bool has(const ObjectKey& who, const Address& address) const;

  PeerIndex& peers_;
  AddressTable& addresses_;
  std::string node_name_;
  std::map<ObjectKey, ObjectRef> namespaces_;
  std::map<ObjectKey, PodState> pods_;
  std::map<ObjectKey, NodeState> nodes_;
  std::set<ObjectKey> touched_;
  Profiles left_;  // profiles that an endpoint has left
  bool own_node_touched_ = false;
};

}  // namespace omnitide::policy
