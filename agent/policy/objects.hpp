// The objects that policy is made of, as plain values: what the parser of Kubernetes' YAML or JSON gives, checked and
// with defaults applied, and what the compiler takes. Only the fields that a verdict needs are kept.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/address.hpp"

namespace omnitide::policy {

// Where an object came from, for messages: a file or another source's name, and the line where the object begins.
struct Origin {
  std::string file;
  std::uint32_t line = 0;
};

// Sorted by key, each key once.
using Labels = std::vector<std::pair<std::string, std::string>>;

enum class Operator : std::uint8_t { in, not_in, exists, does_not_exist };

struct Requirement {
  std::string key;
  Operator op = Operator::exists;
  std::vector<std::string> values;  // sorted; of in and not_in only
  bool operator==(const Requirement&) const = default;
};

// A label selector: every requirement holds. Empty selects everything. matchLabels are requirements too (`in`, one
// value).
struct Selector {
  std::vector<Requirement> requirements;
  bool operator==(const Selector&) const = default;
};

// not_in and does_not_exist hold for an absent key (Kubernetes, labels.Selector).
[[nodiscard]] bool matches(const Selector& selector, const Labels& labels);
[[nodiscard]] const std::string* find_label(const Labels& labels, std::string_view key);

enum class Protocol : std::uint8_t { any = 0, icmp = 1, tcp = 6, udp = 17, icmpv6 = 58, sctp = 132 };  // IANA numbers

// "TCP", "UDP", "SCTP", "ICMPv4", "ICMPv6"; empty for any.
[[nodiscard]] std::string_view protocol_name(Protocol protocol);

struct Namespace {
  std::string name;
  Labels labels;  // with kubernetes.io/metadata.name, which the API server always sets
  Origin origin;
};

struct NamedPort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::uint16_t number = 0;
  auto operator<=>(const NamedPort&) const = default;
};

struct Pod {
  std::string name_space, name;
  Labels labels;
  std::string node;                // spec.nodeName
  std::vector<Address> addresses;  // status.podIPs, at most one of each family; empty until the pod has one
  std::vector<NamedPort> ports;    // of all containers and restartable init containers, sorted
  bool host_network = false;
  bool finished = false;    // Succeeded or Failed: in no set
  std::string interface;    // annotation omnitide.io/interface: its device on the node
  bool any_source = false;  // annotation omnitide.io/allow-source: "any": no check of the source address
  Origin origin;
};

struct Node {
  std::string name;
  Labels labels;
  std::vector<Address> addresses;  // InternalIP and ExternalIP
  Origin origin;
};

// One entry of `ports` or `protocols`. Without a port and a name: all ports of the protocol, or, with Protocol::any,
// everything.
struct PortMatch {
  Protocol protocol = Protocol::tcp;
  std::uint16_t first = 0, last = 0;  // inclusive; 0 and 0: every port
  std::string name;                   // a named port; then first and last are 0. Protocol::any with a name (in
                                      // ClusterNetworkPolicy): of whatever protocol the port has
  auto operator<=>(const PortMatch&) const = default;
};

struct Block {
  Prefix cidr;
  std::vector<Prefix> except;  // sorted, inside cidr
  auto operator<=>(const Block&) const = default;
};

// One peer; what it selects is the kind's.
struct Peer {
  enum class Kind : std::uint8_t {
    pods,     // pods that match `pods` in namespaces that match `namespaces`, or in `name_space` when that is set
    nodes,    // nodes that match `nodes`: their own addresses
    blocks,   // any address inside one of `blocks`
    unknown,  // what this version cannot judge (domain names, a later field). Its whole rule fails closed, as the types
              // of ClusterNetworkPolicy say: one that accepts matches nothing, the others deny everything
  };
  Kind kind = Kind::pods;
  std::string name_space;  // a podSelector alone: the policy's own namespace
  Selector namespaces, pods, nodes;
  std::vector<Block> blocks;
  bool operator==(const Peer&) const = default;
};

enum class Action : std::uint8_t { accept, deny, pass };

struct Rule {
  Action action = Action::accept;
  std::string name;              // of ClusterNetworkPolicy
  bool any_peer = false;         // from/to absent or empty in NetworkPolicy
  std::vector<Peer> peers;       // OR
  std::vector<PortMatch> ports;  // OR; empty: everything, ICMP too
  std::uint32_t line = 0;
};

struct NetworkPolicy {
  std::string name_space, name;
  Selector pods;
  bool isolates_ingress = true, isolates_egress = false;  // policyTypes after defaulting
  std::vector<Rule> ingress, egress;                      // accept only
  bool keep_established = false;                          // annotation omnitide.io/established: keep
  Origin origin;
};

enum class Tier : std::uint8_t { admin, baseline };

struct ClusterNetworkPolicy {
  std::string name;
  Tier tier = Tier::admin;
  std::uint16_t priority = 0;  // lower wins; equal ones in the order of their names
  Selector subject_namespaces, subject_pods;
  std::vector<Rule> ingress, egress;
  Origin origin;
};

// omnitide.io/v1alpha1 HostPolicy: what may reach or leave the device itself. Rules accept; the deny list comes first,
// then the fail-safe ports, then the rules; a direction that is isolated drops the rest.
struct HostPolicy {
  std::string name;
  Selector nodes;                       // spec.nodeSelector; empty: every node
  std::vector<std::string> interfaces;  // names or globs; empty: every device with a carrier that is no pod's
  bool isolates_ingress = true, isolates_egress = false;
  std::vector<Prefix> deny;                                    // spec.deny: CIDRs, both directions
  std::vector<PortMatch> fail_safe_ingress, fail_safe_egress;  // spec.failSafe; defaults in docs/policy.md
  std::vector<Rule> ingress, egress;                           // ipBlock peers and any peer
  Origin origin;
};

using Object = std::variant<Namespace, Pod, Node, NetworkPolicy, ClusterNetworkPolicy, HostPolicy>;

// What names an object; the namespace is empty for cluster-scoped kinds.
struct ObjectKey {
  enum class Kind : std::uint8_t { name_space, pod, node, network_policy, cluster_network_policy, host_policy };
  Kind kind = Kind::pod;
  std::string name_space, name;
  auto operator<=>(const ObjectKey&) const = default;
};

[[nodiscard]] ObjectKey key_of(const Object& object);
[[nodiscard]] const Origin& origin_of(const Object& object);
[[nodiscard]] std::string_view kind_name(ObjectKey::Kind kind);  // "NetworkPolicy"
// "NetworkPolicy shop/web"
[[nodiscard]] std::string describe(const ObjectKey& key);

}  // namespace omnitide::policy
