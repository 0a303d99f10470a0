#include "tests/harness/policy_oracle.hpp"

#include <algorithm>
#include <utility>

namespace omnitide::policy::oracle {

namespace {

// A bit of an address, the first one being 0.
int bit(const Address& address, int index) {
  return (address.bytes[static_cast<std::size_t>(index) / 8] >> (7 - index % 8)) & 1;
}

bool same_family(const Prefix& prefix, const Address& address) {
  const bool v4 = prefix.length >= 96 && prefix.address.is_v4();
  return v4 == address.is_v4();
}

bool prefix_includes(const Prefix& prefix, const Address& address) {
  if (!same_family(prefix, address)) return false;
  for (int i = 0; i < prefix.length; ++i) {
    if (bit(prefix.address, i) != bit(address, i)) return false;
  }
  return true;
}

bool requirement_holds(const Requirement& requirement, const Labels& labels) {
  const std::string* value = nullptr;
  for (const auto& [key, text] : labels) {
    if (key == requirement.key) value = &text;
  }
  const auto listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), *value) != requirement.values.end();
  };
  switch (requirement.op) {
    case Operator::exists: return value != nullptr;
    case Operator::does_not_exist: return value == nullptr;
    case Operator::in: return value != nullptr && listed();
    case Operator::not_in: return value == nullptr || !listed();  // also where there is no such label
  }
  return false;
}

// Pods with the node's network, and those that have ended, are nobody's peer and nobody's subject.
bool takes_part(const Pod& pod) { return !pod.host_network && !pod.finished && !pod.addresses.empty(); }

bool has(const std::vector<Address>& addresses, const Address& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

bool is_unknown(const Peer& peer) { return peer.kind == Peer::Kind::unknown; }

bool with_ports(Protocol protocol) {
  return protocol == Protocol::tcp || protocol == Protocol::udp || protocol == Protocol::sctp;
}

}  // namespace

bool label_selector_matches(const Selector& selector, const Labels& labels) {
  for (const Requirement& requirement : selector.requirements) {
    if (!requirement_holds(requirement, labels)) return false;
  }
  return true;
}

bool block_includes(const Block& block, const Address& address) {
  if (!prefix_includes(block.cidr, address)) return false;
  for (const Prefix& except : block.except) {
    if (prefix_includes(except, address)) return false;
  }
  return true;
}

Oracle::Oracle(std::vector<ObjectRef> objects, std::string node_name)
    : objects_(std::move(objects)), node_name_(std::move(node_name)) {
  for (const ObjectRef& object : objects_) {
    if (const auto* one = std::get_if<Namespace>(object.get())) namespaces_.push_back(one);
    if (const auto* one = std::get_if<Pod>(object.get())) pods_.push_back(one);
    if (const auto* one = std::get_if<Node>(object.get())) nodes_.push_back(one);
    if (const auto* one = std::get_if<NetworkPolicy>(object.get())) network_policies_.push_back(one);
    if (const auto* one = std::get_if<ClusterNetworkPolicy>(object.get())) cluster_policies_.push_back(one);
    if (const auto* one = std::get_if<HostPolicy>(object.get())) host_policies_.push_back(one);
  }
  std::sort(nodes_.begin(), nodes_.end(), [](const Node* a, const Node* b) { return a->name < b->name; });
  std::sort(pods_.begin(), pods_.end(), [](const Pod* a, const Pod* b) {
    return std::pair(a->name_space, a->name) < std::pair(b->name_space, b->name);
  });
  std::sort(cluster_policies_.begin(), cluster_policies_.end(),
            [](const ClusterNetworkPolicy* a, const ClusterNetworkPolicy* b) {
              return std::pair(a->priority, a->name) < std::pair(b->priority, b->name);
            });
}

const Labels* Oracle::namespace_labels(const std::string& name) const {
  for (const Namespace* one : namespaces_) {
    if (one->name == name) return &one->labels;
  }
  return nullptr;
}

// Where several say that an address is theirs: a node before pods, then the first by name.
const Node* Oracle::node_at(const Address& address) const {
  for (const Node* node : nodes_) {
    if (has(node->addresses, address)) return node;
  }
  return nullptr;
}

const Pod* Oracle::pod_at(const Address& address) const {
  if (node_at(address) != nullptr) return nullptr;
  for (const Pod* pod : pods_) {
    if (takes_part(*pod) && has(pod->addresses, address)) return pod;
  }
  return nullptr;
}

std::vector<Address> Oracle::addresses_of(const Pod& pod) const {
  std::vector<Address> out;
  for (const Address& address : pod.addresses) {
    if (pod_at(address) == &pod) out.push_back(address);
  }
  return out;
}

std::vector<const Pod*> Oracle::endpoints() const {
  std::vector<const Pod*> out;
  for (const Pod* pod : pods_) {
    const bool here = node_name_.empty() || pod->node == node_name_;
    if (here && takes_part(*pod) && !addresses_of(*pod).empty()) out.push_back(pod);
  }
  return out;
}

// A selector of namespaces that asks for anything cannot hold where the namespace is not known.
bool Oracle::selects(const Selector& namespaces, const Selector& pods, const Pod& pod) const {
  if (!namespaces.requirements.empty()) {
    const Labels* labels = namespace_labels(pod.name_space);
    if (labels == nullptr || !label_selector_matches(namespaces, *labels)) return false;
  }
  return label_selector_matches(pods, pod.labels);
}

bool Oracle::selects(const NetworkPolicy& policy, const Pod& pod) const {
  return policy.name_space == pod.name_space && label_selector_matches(policy.pods, pod.labels);
}

bool Oracle::peer_includes(const Peer& peer, const Address& address) const {
  if (peer.kind == Peer::Kind::blocks) {
    return std::any_of(peer.blocks.begin(), peer.blocks.end(),
                       [&address](const Block& block) { return block_includes(block, address); });
  }
  if (peer.kind == Peer::Kind::nodes) {
    const Node* node = node_at(address);
    return node != nullptr && label_selector_matches(peer.nodes, node->labels);
  }
  const Pod* pod = pod_at(address);
  if (pod == nullptr) return false;
  if (peer.name_space.empty()) return selects(peer.namespaces, peer.pods, *pod);
  return pod->name_space == peer.name_space && label_selector_matches(peer.pods, pod->labels);
}

bool Oracle::port_includes(const PortMatch& port, const Question& question) const {
  const Packet& packet = question.packet;
  if (!port.name.empty()) {
    // The name is the destination's.
    const Pod* destination = question.ingress ? question.subject : pod_at(packet.peer);
    if (destination == nullptr) return false;
    return std::any_of(destination->ports.begin(), destination->ports.end(), [&](const NamedPort& named) {
      const bool asked = named.name == port.name && (port.protocol == Protocol::any || port.protocol == named.protocol);
      return asked && named.protocol == packet.protocol && named.number == packet.port;
    });
  }
  const bool every_port = port.last == 0;
  if (port.protocol == Protocol::any) {
    if (every_port) return true;
    if (!with_ports(packet.protocol)) return false;
  } else if (port.protocol != packet.protocol) {
    return false;
  }
  return every_port || (port.first <= packet.port && packet.port <= port.last);
}

bool Oracle::ports_include(const std::vector<PortMatch>& ports, const Question& question) const {
  if (ports.empty()) return true;  // every protocol
  return std::any_of(ports.begin(), ports.end(), [&](const PortMatch& port) { return port_includes(port, question); });
}

bool Oracle::rule_matches(const Rule& rule, const Question& question) const {
  const bool peer = rule.any_peer || std::any_of(rule.peers.begin(), rule.peers.end(), [&](const Peer& one) {
                      return peer_includes(one, question.packet.peer);
                    });
  return peer && ports_include(rule.ports, question);
}

bool Oracle::some_rule_accepts(const std::vector<Rule>& rules, const Question& question) const {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    const bool unknown = std::any_of(rule.peers.begin(), rule.peers.end(), is_unknown);
    return !unknown && rule_matches(rule, question);
  });
}

Oracle::Decision Oracle::ask_cluster_policy(const ClusterNetworkPolicy& policy, const Question& question) const {
  for (const Rule& rule : question.ingress ? policy.ingress : policy.egress) {
    if (std::any_of(rule.peers.begin(), rule.peers.end(), is_unknown)) {
      if (rule.action == Action::accept) continue;  // matches nothing
      return Decision::deny;                        // denies everything
    }
    if (!rule_matches(rule, question)) continue;
    if (rule.action == Action::accept) return Decision::accept;
    return rule.action == Action::deny ? Decision::deny : Decision::pass;
  }
  return Decision::none;
}

Oracle::Decision Oracle::ask_tier(Tier tier, const Question& question) const {
  for (const ClusterNetworkPolicy* policy : cluster_policies_) {
    if (policy->tier != tier || !selects(policy->subject_namespaces, policy->subject_pods, *question.subject)) continue;
    const Decision decision = ask_cluster_policy(*policy, question);
    if (decision != Decision::none) return decision;
  }
  return Decision::none;
}

bool Oracle::pod_allows(const Question& question) const {
  if (has(addresses_of(*question.subject), question.packet.peer)) return true;  // a pod reaches itself
  const Decision admin = ask_tier(Tier::admin, question);
  if (admin == Decision::accept || admin == Decision::deny) return admin == Decision::accept;

  bool isolated = false;
  for (const NetworkPolicy* policy : network_policies_) {
    const bool governs = question.ingress ? policy->isolates_ingress : policy->isolates_egress;
    if (!governs || !selects(*policy, *question.subject)) continue;
    isolated = true;
    if (some_rule_accepts(question.ingress ? policy->ingress : policy->egress, question)) return true;
  }
  if (isolated) return false;
  return ask_tier(Tier::baseline, question) != Decision::deny;
}

bool Oracle::allows_ingress(const Pod& pod, const Packet& packet) const {
  return pod_allows({.subject = &pod, .ingress = true, .packet = packet});
}

bool Oracle::allows_egress(const Pod& pod, const Packet& packet) const {
  return pod_allows({.subject = &pod, .ingress = false, .packet = packet});
}

bool Oracle::keeps_established(const Pod& pod) const {
  bool selected = false;
  for (const ClusterNetworkPolicy* policy : cluster_policies_) {
    if (selects(policy->subject_namespaces, policy->subject_pods, pod)) return false;
  }
  for (const NetworkPolicy* policy : network_policies_) {
    if (!selects(*policy, pod)) continue;
    if (!policy->keep_established) return false;
    selected = true;
  }
  return selected;
}

std::vector<const HostPolicy*> Oracle::host_policies() const {
  std::vector<const HostPolicy*> out;
  if (node_name_.empty()) return out;
  for (const HostPolicy* policy : host_policies_) {
    bool selected = policy->nodes.requirements.empty();
    for (const Node* node : nodes_) {
      if (node->name == node_name_ && label_selector_matches(policy->nodes, node->labels)) selected = true;
    }
    if (selected) out.push_back(policy);
  }
  return out;
}

bool Oracle::host_allows(bool ingress, const Packet& packet) const {
  const Question question{.subject = nullptr, .ingress = ingress, .packet = packet};
  const std::vector<const HostPolicy*> policies = host_policies();
  for (const HostPolicy* policy : policies) {
    for (const Prefix& prefix : policy->deny) {
      if (prefix_includes(prefix, packet.peer)) return false;
    }
  }
  bool isolated = false;
  for (const HostPolicy* policy : policies) {
    isolated = isolated || (ingress ? policy->isolates_ingress : policy->isolates_egress);
    const auto& fail_safe = ingress ? policy->fail_safe_ingress : policy->fail_safe_egress;
    if (!fail_safe.empty() && ports_include(fail_safe, question)) return true;
    if (some_rule_accepts(ingress ? policy->ingress : policy->egress, question)) return true;
  }
  return !isolated;
}

}  // namespace omnitide::policy::oracle
