#include "agent/policy/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <variant>

#include "agent/policy/lint_view.hpp"

namespace omnitide::policy {

namespace {

std::string pod_name(const Pod& pod) { return pod.name_space + "/" + pod.name; }

// Whether the exceptions leave nothing of the block: they are parts of it, so their shares add up.
bool is_used_up(const Block& block) {
  long double left = 1;
  const Prefix* last = nullptr;
  for (const Prefix& except : block.except) {  // sorted: what lies inside another one stands behind it
    if (last != nullptr && last->contains(except)) continue;
    last = &except;
    long double share = 1;
    for (int bits = except.length - block.cidr.length; bits > 0; --bits)
      share /= 2;
    left -= share;
  }
  return left <= 0;
}

class Lint {
 public:
  explicit Lint(std::span<const ObjectRef> objects) : objects_(objects), view_(objects) {}

  std::vector<Fault> run() {
    check_world();
    check_pods();
    for (const ObjectRef& object : objects_) {
      if (const auto* policy = std::get_if<NetworkPolicy>(object.get())) check(*policy);
      if (const auto* policy = std::get_if<ClusterNetworkPolicy>(object.get())) check(*policy);
      if (const auto* policy = std::get_if<HostPolicy>(object.get())) check(*policy);
    }
    if (lost_ > 0) hints_.push_back({.file = {}, .message = fmt::format("{} more hints", lost_), .applied = true});
    return std::move(hints_);
  }

 private:
  // What is looked at: its name, and the pods that its rules are for.
  struct Subject {
    std::string name;
    const Origin& origin;
    const Selected* selected = nullptr;  // null: a device
  };

  void hint(const std::string& object, const std::string& file, std::uint32_t line, std::string field,
            std::string message, std::string advice) {
    if (hints_.size() >= kMostHints) {
      ++lost_;
      return;
    }
    hints_.push_back({.file = file,
                      .line = line,
                      .object = object,
                      .field = std::move(field),
                      .message = std::move(message),
                      .hint = std::move(advice),
                      .applied = true});
  }
  void hint(const Subject& subject, std::string field, std::string message, std::string advice) {
    hint(subject.name, subject.origin.file, subject.origin.line, std::move(field), std::move(message),
         std::move(advice));
  }

  void check_world();
  void check_pods();
  void check(const NetworkPolicy& policy);
  void check(const ClusterNetworkPolicy& policy);
  void check(const HostPolicy& policy);
  void check_subject(const Subject& subject, const Selector& pods, const std::string& field);
  void check_rules(const Subject& subject, const std::vector<Rule>& rules, bool ingress);
  void check_peer(const Subject& subject, const Rule& rule, const Peer& peer, const std::string& field);
  void check_block(const Subject& subject, const Rule& rule, const Block& block, const std::string& field);
  void check_named_port(const Subject& subject, const Rule& rule, const PortMatch& port, bool ingress,
                        const std::string& field);
  [[nodiscard]] std::vector<const Pod*> destinations(const Subject& subject, const Rule& rule, bool ingress);

  std::span<const ObjectRef> objects_;
  LintView view_;
  std::map<std::pair<Tier, std::uint16_t>, const ClusterNetworkPolicy*> priorities_;
  std::vector<Fault> hints_;
  std::size_t lost_ = 0;
};

// Without pods or namespaces nothing can be said about what selects them, once and not for each policy.
void Lint::check_world() {
  const bool policies = std::any_of(objects_.begin(), objects_.end(), [](const ObjectRef& object) {
    return std::holds_alternative<NetworkPolicy>(*object) || std::holds_alternative<ClusterNetworkPolicy>(*object);
  });
  if (!policies) return;
  if (view_.pods().empty())
    return hint({}, {}, 0, {}, "there are no pods here, so what policies select is not looked at",
                "add the pods: kubectl get ns,pods,netpol -A -o yaml");
  if (!view_.has_namespaces())
    hint({}, {}, 0, {}, "there are no namespaces here, so selectors of their labels match nothing",
         "add the namespaces: kubectl get ns -o yaml");
}

void Lint::check_pods() {
  std::map<Address, const Pod*> owners;
  std::set<std::string_view> told;
  for (const Pod* pod : view_.pods()) {
    const std::string name = describe({ObjectKey::Kind::pod, pod->name_space, pod->name});
    const auto about = [&](std::string field, std::string message, std::string advice) {
      hint(name, pod->origin.file, pod->origin.line, std::move(field), std::move(message), std::move(advice));
    };
    if (view_.has_namespaces() && view_.groups().at(pod->name_space).object == nullptr &&
        told.insert(pod->name_space).second) {
      about("metadata.namespace",
            fmt::format("the namespace {} is not here, so selectors of its labels match nothing", pod->name_space),
            "add the Namespace");
    }
    if (pod->finished || pod->host_network) continue;
    if (pod->addresses.empty()) about("status.podIPs", "has no address yet, so nothing can be judged by it", "");
    for (const Address& address : pod->addresses) {
      const auto [owner, added] = owners.emplace(address, pod);
      if (!added) {
        about("status.podIPs", fmt::format("has the address {} of {} too", format(address), pod_name(*owner->second)),
              "one of the two is out of date");
      }
    }
  }
}

void Lint::check_subject(const Subject& subject, const Selector& pods, const std::string& field) {
  if (view_.pods().empty()) return;
  // Whoever selects all pods means those that can be governed.
  const bool meant = !pods.requirements.empty() || subject.selected->pods.empty();
  if (subject.selected->host_network != nullptr && meant) {
    hint(subject, field,
         fmt::format("selects {}, which is on the host's network, where policies of pods are not enforced",
                     pod_name(*subject.selected->host_network)),
         "use a HostPolicy for the node itself");
  }
  if (subject.selected->pods.empty() && subject.selected->host_network == nullptr)
    hint(subject, field, "selects no pod", "compare it with the labels of the pods");
}

void Lint::check(const NetworkPolicy& policy) {
  const Selected& selected = view_.select(policy.name_space, {}, policy.pods);
  const Subject subject{describe({ObjectKey::Kind::network_policy, policy.name_space, policy.name}), policy.origin,
                        &selected};
  const auto group = view_.groups().find(policy.name_space);
  if (view_.has_namespaces() && (group == view_.groups().end() || group->second.object == nullptr)) {
    hint(subject, "metadata.namespace", fmt::format("the namespace {} is not here", policy.name_space),
         "compare it with the names of the namespaces");
  } else {
    check_subject(subject, policy.pods, "spec.podSelector");
  }
  if (!policy.isolates_egress && !policy.egress.empty())
    hint(subject, "spec.policyTypes", "has egress rules and does not name Egress: they do nothing", "add Egress");
  if (!policy.isolates_ingress && !policy.ingress.empty())
    hint(subject, "spec.policyTypes", "has ingress rules and does not name Ingress: they do nothing", "add Ingress");
  check_rules(subject, policy.ingress, true);
  check_rules(subject, policy.egress, false);
}

void Lint::check(const ClusterNetworkPolicy& policy) {
  const Selected& selected = view_.select({}, policy.subject_namespaces, policy.subject_pods);
  const Subject subject{describe({ObjectKey::Kind::cluster_network_policy, {}, policy.name}), policy.origin, &selected};
  check_subject(subject, policy.subject_pods, "spec.subject");
  const auto [other, added] = priorities_.emplace(std::pair(policy.tier, policy.priority), &policy);
  if (!added) {
    hint(subject, "spec.priority",
         fmt::format("is {}, as in {}: of the two, {} comes first by its name", policy.priority, other->second->name,
                     other->second->name),
         "give each its own priority");
  }
  if (policy.ingress.empty() && policy.egress.empty()) hint(subject, "spec", "has no rules and does nothing", "");
  check_rules(subject, policy.ingress, true);
  check_rules(subject, policy.egress, false);
}

void Lint::check(const HostPolicy& policy) {
  const Subject subject{describe({ObjectKey::Kind::host_policy, {}, policy.name}), policy.origin, nullptr};
  const auto& nodes = view_.nodes();
  const bool any = std::any_of(nodes.begin(), nodes.end(),
                               [&policy](const Node* node) { return matches(policy.nodes, node->labels); });
  if (!nodes.empty() && !any)
    hint(subject, "spec.nodeSelector", "selects no node", "compare it with the labels of the nodes");
  if (!policy.isolates_egress && !policy.egress.empty())
    hint(subject, "spec.policyTypes", "has egress rules and does not name Egress: they do nothing", "add Egress");
  if (!policy.isolates_ingress && !policy.ingress.empty())
    hint(subject, "spec.policyTypes", "has ingress rules and does not name Ingress: they do nothing", "add Ingress");
  if (policy.isolates_ingress && policy.fail_safe_ingress.empty())
    hint(subject, "spec.failSafe.ingress", "is empty: what the rules do not let in cannot reach the device at all",
         "keep at least the port of a log-in");
  check_rules(subject, policy.ingress, true);
  check_rules(subject, policy.egress, false);
}

void Lint::check_rules(const Subject& subject, const std::vector<Rule>& rules, bool ingress) {
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const Rule& rule = rules[i];
    const std::string path = fmt::format("spec.{}[{}]", ingress ? "ingress" : "egress", i);
    for (std::size_t k = 0; k < rule.peers.size(); ++k)
      check_peer(subject, rule, rule.peers[k], fmt::format("{}.{}[{}]", path, ingress ? "from" : "to", k));
    for (std::size_t k = 0; k < rule.ports.size(); ++k) {
      if (!rule.ports[k].name.empty())
        check_named_port(
            subject, rule, rule.ports[k], ingress,
            fmt::format("{}.{}[{}]", path,
                        subject.selected != nullptr && rule.ports[k].protocol != Protocol::any ? "ports" : "protocols",
                        k));
    }
  }
}

void Lint::check_peer(const Subject& subject, const Rule& rule, const Peer& peer, const std::string& field) {
  const auto about = [&](std::string message, std::string advice) {
    hint(subject.name, subject.origin.file, rule.line, field, std::move(message), std::move(advice));
  };
  switch (peer.kind) {
    case Peer::Kind::unknown: return;  // the parser said it
    case Peer::Kind::blocks:
      for (const Block& block : peer.blocks)
        check_block(subject, rule, block, field);
      return;
    case Peer::Kind::nodes: {
      const auto& nodes = view_.nodes();
      const bool any = std::any_of(nodes.begin(), nodes.end(),
                                   [&peer](const Node* node) { return matches(peer.nodes, node->labels); });
      if (!any)
        about(nodes.empty() ? "there are no nodes here, so it matches nothing" : "selects no node",
              "compare it with the labels of the nodes");
      return;
    }
    case Peer::Kind::pods: break;
  }
  if (view_.pods().empty()) return;
  const Selected& selected = view_.select(peer.name_space, peer.namespaces, peer.pods);
  if (!selected.any_namespace) return about("selects no namespace", "compare it with the labels of the namespaces");
  if (!selected.pods.empty()) return;
  if (selected.host_network == nullptr) return about("selects no pod", "compare it with the labels of the pods");
  about(fmt::format("selects only pods on the host's network, such as {}, and they are no peers",
                    pod_name(*selected.host_network)),
        "use the nodes' addresses");
}

void Lint::check_block(const Subject& subject, const Rule& rule, const Block& block, const std::string& field) {
  const auto about = [&](std::string message, std::string advice) {
    hint(subject.name, subject.origin.file, rule.line, field, std::move(message), std::move(advice));
  };
  if (is_used_up(block))
    return about("its exceptions leave nothing of the block: it matches nothing", "take the peer away");
  if (subject.selected == nullptr) return;
  Address address;
  const Pod* pod = view_.pod_inside(block, address);
  if (pod == nullptr) return;
  about(fmt::format("{} covers addresses of pods too, such as {} of {}", format(block.cidr), format(address),
                    pod_name(*pod)),
        "except the pods' networks if only the outside is meant");
}

// The pods on whose side a rule's ports are.
std::vector<const Pod*> Lint::destinations(const Subject& subject, const Rule& rule, bool ingress) {
  if (ingress) return subject.selected->pods;
  if (rule.any_peer) return view_.pods();
  std::vector<const Pod*> out;
  for (const Peer& peer : rule.peers) {
    if (peer.kind != Peer::Kind::pods) continue;
    const Selected& selected = view_.select(peer.name_space, peer.namespaces, peer.pods);
    out.insert(out.end(), selected.pods.begin(), selected.pods.end());
  }
  return out;
}

void Lint::check_named_port(const Subject& subject, const Rule& rule, const PortMatch& port, bool ingress,
                            const std::string& field) {
  if (subject.selected == nullptr) return;
  const std::vector<const Pod*> pods = destinations(subject, rule, ingress);
  if (pods.empty()) return;  // said elsewhere
  const NamedPort* other = nullptr;
  for (const Pod* pod : pods) {
    for (const NamedPort& named : pod->ports) {
      if (named.name != port.name) continue;
      if (port.protocol == Protocol::any || named.protocol == port.protocol) return;
      other = &named;
    }
  }
  const std::string message =
      other == nullptr
          ? fmt::format("none of the {} pods has a port named {}", ingress ? "selected" : "peers'", port.name)
          : fmt::format("the port {} is one of {}, not of {}", port.name, protocol_name(other->protocol),
                        protocol_name(port.protocol));
  hint(subject.name, subject.origin.file, rule.line, field, message + ": the entry matches nothing",
       "compare it with the ports of the containers");
}

}  // namespace

std::vector<Fault> lint(std::span<const ObjectRef> objects) { return Lint(objects).run(); }

}  // namespace omnitide::policy
