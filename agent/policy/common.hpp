// What several kinds of objects have in common. Inside this room only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/policy/fields.hpp"
#include "agent/policy/objects.hpp"

namespace omnitide::policy {

// "NetworkPolicy shop/web" and its parts, from metadata as it is, also when that is wrong.
[[nodiscard]] ObjectKey named(ObjectKey::Kind kind, const Field& root);
[[nodiscard]] constexpr bool is_namespaced(ObjectKey::Kind kind) {
  return kind == ObjectKey::Kind::pod || kind == ObjectKey::Kind::network_policy;
}

// metadata.name and metadata.namespace, checked. An absent namespace is "default", as for kubectl.
void check_metadata(Reader& reader, ObjectKey::Kind kind);
[[nodiscard]] Labels read_labels(Reader& reader, const Field& field);
// An annotation's text; empty when it is absent. What is no map of texts is a fault.
[[nodiscard]] std::string_view annotation(Reader& reader, std::string_view key);

// A metav1.LabelSelector; absent: selects everything.
[[nodiscard]] Selector read_selector(Reader& reader, const Field& field);

// One CIDR. `legacy`: leading zeros are accepted and read as decimals, as the API server does for fields that are older
// than its doubts about them.
[[nodiscard]] std::optional<Prefix> read_cidr(Reader& reader, const Field& field, bool legacy);
[[nodiscard]] std::optional<Protocol> read_protocol(Reader& reader, const Field& field);  // absent: TCP

// Rules in the shape of NetworkPolicy, and what differs in HostPolicy.
struct RuleShape {
  bool host = false;       // ipBlock peers and numeric ports only
  std::string name_space;  // that of a podSelector alone
};
[[nodiscard]] std::vector<Rule> read_rules(Reader& reader, const Field& list, bool ingress, const RuleShape& shape);
[[nodiscard]] std::vector<PortMatch> read_ports(Reader& reader, const Field& list, bool host);

struct PolicyTypes {
  bool given = false, ingress = false, egress = false;
};
[[nodiscard]] PolicyTypes read_policy_types(Reader& reader, const Field& list);

// One function a kind. The result counts only when the reader is still good.
[[nodiscard]] Namespace read_namespace(Reader& reader);
[[nodiscard]] Pod read_pod(Reader& reader);
[[nodiscard]] Node read_node(Reader& reader);
[[nodiscard]] NetworkPolicy read_network_policy(Reader& reader);
[[nodiscard]] ClusterNetworkPolicy read_cluster_policy(Reader& reader);
[[nodiscard]] HostPolicy read_host_policy(Reader& reader);

}  // namespace omnitide::policy
