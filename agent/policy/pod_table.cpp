#include "agent/policy/pod_table.hpp"

#include <algorithm>

namespace omnitide::policy {

namespace {

const Pod& pod_of(const PodState& state) { return std::get<Pod>(*state.object); }

ObjectKey key_of_pod(const PodState& state) { return key_of(*state.object); }

bool in_sets(const Pod& pod) { return !pod.host_network && !pod.finished && !pod.addresses.empty(); }

}  // namespace

void PodTable::put(const ObjectKey& key, ObjectRef object) {
  if (key.kind == ObjectKey::Kind::name_space) {
    namespaces_.insert_or_assign(key, std::move(object));
    touch_namespace(key.name);
  } else if (key.kind == ObjectKey::Kind::pod) {
    PodState& pod = pods_[key];
    pod.object = std::move(object);
    put_pod(pod);
  } else {
    NodeState& node = nodes_[key];
    node.object = std::move(object);
    put_node(key, node);
  }
}

void PodTable::take(const ObjectKey& key) {
  if (key.kind == ObjectKey::Kind::name_space) {
    if (namespaces_.erase(key) > 0) touch_namespace(key.name);
  } else if (key.kind == ObjectKey::Kind::pod) {
    const auto found = pods_.find(key);
    if (found == pods_.end()) return;
    take_pod(found->second);
    pods_.erase(found);
    touched_.insert(key);
  } else if (const auto found = nodes_.find(key); found != nodes_.end()) {
    claim(key, nullptr, found->second.addresses, {});
    if (found->second.profile != nullptr) peers_.release(*found->second.profile);
    nodes_.erase(found);
    own_node_touched_ = own_node_touched_ || key.name == node_name_;
  }
}

void PodTable::relocate(const ObjectKey& key, ObjectRef object) {
  if (const auto found = namespaces_.find(key); found != namespaces_.end())
    found->second = std::move(object);
  else if (const auto pod = pods_.find(key); pod != pods_.end())
    pod->second.object = std::move(object);
  else if (const auto node = nodes_.find(key); node != nodes_.end())
    node->second.object = std::move(object);
}

ObjectRef PodTable::find(const ObjectKey& key) const {
  if (const auto found = namespaces_.find(key); found != namespaces_.end()) return found->second;
  if (const auto found = pods_.find(key); found != pods_.end()) return found->second.object;
  const auto found = nodes_.find(key);
  return found == nodes_.end() ? nullptr : found->second.object;
}

void PodTable::touch_namespace(const std::string& name) {
  const ObjectKey first{.kind = ObjectKey::Kind::pod, .name_space = name, .name = {}};
  for (auto at = pods_.lower_bound(first); at != pods_.end() && at->first.name_space == name; ++at)
    put_pod(at->second);
}

ProfileKey PodTable::profile_of(const Pod& pod) const {
  ProfileKey out{.kind = ProfileKey::Kind::pod,
                 .namespace_known = false,
                 .name_space = pod.name_space,
                 .namespace_labels = {},
                 .labels = pod.labels,
                 .ports = pod.ports};
  const auto found = namespaces_.find({.kind = ObjectKey::Kind::name_space, .name_space = {}, .name = pod.name_space});
  if (found == namespaces_.end()) return out;
  out.namespace_known = true;
  out.namespace_labels = std::get<Namespace>(*found->second).labels;
  return out;
}

// Claims what is wanted and gives back what is not; all claims are for `profile` then.
void PodTable::claim(const ObjectKey& who, Profile* profile, std::vector<Address>& claimed,
                     const std::vector<Address>& wanted) {
  for (const Address& address : claimed) {
    if (std::ranges::find(wanted, address) == wanted.end()) addresses_.drop(address, who);
  }
  for (const Address& address : wanted)
    addresses_.claim(address, who, *profile);
  claimed = wanted;
}

void PodTable::put_pod(PodState& state) {
  const Pod& pod = pod_of(state);
  const ObjectKey key = key_of_pod(state);
  touched_.insert(key);
  if (!in_sets(pod)) {
    take_pod(state);
    return;
  }
  Profile* profile = peers_.hold_profile(profile_of(pod));
  if (profile == state.profile && pod.addresses == state.addresses) {
    peers_.release(*profile);
    return;
  }
  claim(key, profile, state.addresses, pod.addresses);
  Profile* old = std::exchange(state.profile, profile);
  if (old == nullptr) return;
  if (old != profile && old->endpoints.erase(&state) > 0) left_.insert(old);
  peers_.release(*old);
}

void PodTable::take_pod(PodState& state) {
  claim(key_of_pod(state), nullptr, state.addresses, {});
  Profile* old = std::exchange(state.profile, nullptr);
  if (old == nullptr) return;
  if (old->endpoints.erase(&state) > 0) left_.insert(old);
  peers_.release(*old);
}

void PodTable::put_node(const ObjectKey& key, NodeState& state) {
  const Node& node = std::get<Node>(*state.object);
  ProfileKey wanted;
  wanted.kind = ProfileKey::Kind::node;
  wanted.labels = node.labels;
  Profile* profile = peers_.hold_profile(std::move(wanted));
  if (profile != state.profile || node.addresses != state.addresses)
    claim(key, profile, state.addresses, node.addresses);
  if (Profile* old = std::exchange(state.profile, profile); old != nullptr) peers_.release(*old);
  own_node_touched_ = own_node_touched_ || key.name == node_name_;
}

bool PodTable::has(const ObjectKey& who, const Address& address) const {
  const ObjectKey* holder = addresses_.holder(address);
  return holder != nullptr && *holder == who;
}

std::set<ObjectKey> PodTable::settle(Profiles& profiles) {
  std::set<ObjectKey> touched = std::exchange(touched_, {});
  touched.merge(addresses_.take_contenders());
  for (const ObjectKey& key : touched) {
    const auto found = pods_.find(key);
    if (found == pods_.end() || found->second.profile == nullptr) continue;
    PodState& state = found->second;
    const bool endpoint = is_local(pod_of(state)) && std::ranges::any_of(state.addresses, [&](const Address& address) {
                            return has(key, address);
                          });
    const bool changed =
        endpoint ? state.profile->endpoints.insert(&state).second : state.profile->endpoints.erase(&state) > 0;
    if (changed) profiles.insert(state.profile);
  }
  profiles.merge(left_);
  left_.clear();
  return touched;
}

const PodState* PodTable::find_endpoint(const ObjectKey& key) const {
  const auto found = pods_.find(key);
  if (found == pods_.end() || found->second.profile == nullptr) return nullptr;
  PodState* state = const_cast<PodState*>(&found->second);
  return state->profile->endpoints.contains(state) ? state : nullptr;
}

PlanEndpoint PodTable::endpoint(const PodState& state) const {
  const Pod& pod = pod_of(state);
  const ObjectKey key = key_of_pod(state);
  PlanEndpoint out;
  out.name = pod.name_space + "/" + pod.name;
  out.kind = EndpointKind::pod;
  for (const Address& address : state.addresses) {
    if (has(key, address)) out.addresses.push_back(address);
  }
  out.interface = pod.interface;
  out.identity = addresses_.at(host_prefix(out.addresses.front()))->id;
  if (const SetRecord* set = state.profile->ingress) out.ingress = set->content.id;
  if (const SetRecord* set = state.profile->egress) out.egress = set->content.id;
  out.any_source = pod.any_source;
  out.keep_established = state.profile->keep_established;
  return out;
}

const Node* PodTable::own_node() const {
  const auto found = nodes_.find({.kind = ObjectKey::Kind::node, .name_space = {}, .name = node_name_});
  return found == nodes_.end() ? nullptr : &std::get<Node>(*found->second.object);
}

}  // namespace omnitide::policy
