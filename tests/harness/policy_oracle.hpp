// What the policies mean, straight from the objects: slow, plain, one function for each concept of Kubernetes'
// documentation. No identities, no bits; it shares nothing with the compiler but the objects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/policy/changes.hpp"

namespace omnitide::policy::oracle {

struct Packet {
  Address peer;  // the other end, seen from the pod or the host that is asked
  Protocol protocol = Protocol::tcp;
  std::uint16_t port = 0;  // of the destination; ICMP has none
};

class Oracle {
 public:
  // `node_name`: empty when every pod is to be judged.
  Oracle(std::vector<ObjectRef> objects, std::string node_name);

  // Pods that policy is enforced for, and the addresses that they are found by.
  [[nodiscard]] std::vector<const Pod*> endpoints() const;
  [[nodiscard]] std::vector<Address> addresses_of(const Pod& pod) const;

  [[nodiscard]] bool allows_ingress(const Pod& pod, const Packet& packet) const;
  [[nodiscard]] bool allows_egress(const Pod& pod, const Packet& packet) const;
  // HostPolicy. `ingress`: from the peer to the host.
  [[nodiscard]] bool host_allows(bool ingress, const Packet& packet) const;
  [[nodiscard]] bool has_host() const { return !host_policies().empty(); }
  [[nodiscard]] bool keeps_established(const Pod& pod) const;

 private:
  enum class Decision : std::uint8_t { accept, deny, pass, none };
  struct Question {
    const Pod* subject = nullptr;  // null: the host
    bool ingress = true;
    Packet packet;
  };

  [[nodiscard]] bool pod_allows(const Question& question) const;
  [[nodiscard]] Decision ask_tier(Tier tier, const Question& question) const;
  [[nodiscard]] Decision ask_cluster_policy(const ClusterNetworkPolicy& policy, const Question& question) const;
  [[nodiscard]] bool some_rule_accepts(const std::vector<Rule>& rules, const Question& question) const;
  [[nodiscard]] bool rule_matches(const Rule& rule, const Question& question) const;
  [[nodiscard]] bool peer_includes(const Peer& peer, const Address& address) const;
  [[nodiscard]] bool ports_include(const std::vector<PortMatch>& ports, const Question& question) const;
  [[nodiscard]] bool port_includes(const PortMatch& port, const Question& question) const;
  [[nodiscard]] bool selects(const Selector& namespaces, const Selector& pods, const Pod& pod) const;
  [[nodiscard]] bool selects(const NetworkPolicy& policy, const Pod& pod) const;

  [[nodiscard]] const Labels* namespace_labels(const std::string& name) const;  // null: not known
  [[nodiscard]] const Node* node_at(const Address& address) const;
  [[nodiscard]] const Pod* pod_at(const Address& address) const;  // null when none, or when a node has the address
  [[nodiscard]] std::vector<const HostPolicy*> host_policies() const;

  std::vector<ObjectRef> objects_;
  std::string node_name_;
  std::vector<const Namespace*> namespaces_;
  std::vector<const Pod*> pods_;
  std::vector<const Node*> nodes_;
  std::vector<const NetworkPolicy*> network_policies_;
  std::vector<const ClusterNetworkPolicy*> cluster_policies_;
  std::vector<const HostPolicy*> host_policies_;
};

[[nodiscard]] bool label_selector_matches(const Selector& selector, const Labels& labels);
[[nodiscard]] bool block_includes(const Block& block, const Address& address);

}  // namespace omnitide::policy::oracle
