#include "agent/policy/objects.hpp"

#include <algorithm>
#include <type_traits>

namespace omnitide::policy {

namespace {

bool holds(const Requirement& requirement, const Labels& labels) {
  const std::string* value = find_label(labels, requirement.key);
  const auto listed = [&requirement](const std::string& text) {
    return std::binary_search(requirement.values.begin(), requirement.values.end(), text);
  };
  switch (requirement.op) {
    case Operator::in: return value != nullptr && listed(*value);
    case Operator::not_in: return value == nullptr || !listed(*value);
    case Operator::exists: return value != nullptr;
    case Operator::does_not_exist: return value == nullptr;
  }
  return false;
}

}  // namespace

const std::string* find_label(const Labels& labels, std::string_view key) {
  const auto found = std::lower_bound(labels.begin(), labels.end(), key,
                                      [](const auto& label, std::string_view wanted) { return label.first < wanted; });
  return found != labels.end() && found->first == key ? &found->second : nullptr;
}

bool matches(const Selector& selector, const Labels& labels) {
  return std::all_of(selector.requirements.begin(), selector.requirements.end(),
                     [&labels](const Requirement& requirement) { return holds(requirement, labels); });
}

ObjectKey key_of(const Object& object) {
  return std::visit(
      [&object](const auto& value) {
        ObjectKey key{static_cast<ObjectKey::Kind>(object.index()), {}, value.name};
        if constexpr (requires { value.name_space; }) key.name_space = value.name_space;
        return key;
      },
      object);
}

const Origin& origin_of(const Object& object) {
  return std::visit([](const auto& value) -> const Origin& { return value.origin; }, object);
}

std::string_view protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp: return "TCP";
    case Protocol::udp: return "UDP";
    case Protocol::sctp: return "SCTP";
    case Protocol::icmp: return "ICMPv4";
    case Protocol::icmpv6: return "ICMPv6";
    case Protocol::any: break;
  }
  return "";
}

std::string_view kind_name(ObjectKey::Kind kind) {
  switch (kind) {
    case ObjectKey::Kind::name_space: return "Namespace";
    case ObjectKey::Kind::pod: return "Pod";
    case ObjectKey::Kind::node: return "Node";
    case ObjectKey::Kind::network_policy: return "NetworkPolicy";
    case ObjectKey::Kind::cluster_network_policy: return "ClusterNetworkPolicy";
    case ObjectKey::Kind::host_policy: return "HostPolicy";
  }
  return "";
}

std::string describe(const ObjectKey& key) {
  std::string text(kind_name(key.kind));
  text += ' ';
  if (!key.name_space.empty()) text += key.name_space + "/";
  return text + key.name;
}

}  // namespace omnitide::policy
