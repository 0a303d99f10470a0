#include "agent/policy/kinds.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

struct Known {
  std::string_view group, version, kind;
  ObjectKey::Kind meaning;
};

constexpr std::array<Known, 6> kKnown{{
    {"", "v1", "Namespace", ObjectKey::Kind::name_space},
    {"", "v1", "Pod", ObjectKey::Kind::pod},
    {"", "v1", "Node", ObjectKey::Kind::node},
    {"networking.k8s.io", "v1", "NetworkPolicy", ObjectKey::Kind::network_policy},
    {"policy.networking.k8s.io", "v1alpha2", "ClusterNetworkPolicy", ObjectKey::Kind::cluster_network_policy},
    {"omnitide.io", "v1alpha1", "HostPolicy", ObjectKey::Kind::host_policy},
}};

// Kinds of the same groups that are no policies: never taken for a misspelt one.
constexpr std::array<std::string_view, 4> kNeighbours{"Ingress", "IngressClass", "IPAddress", "ServiceCIDR"};

std::string full(const Known& known) {
  return known.group.empty() ? std::string(known.version) : fmt::format("{}/{}", known.group, known.version);
}

bool is_policy_group(std::string_view group) {
  return !group.empty() &&
         std::any_of(kKnown.begin(), kKnown.end(), [group](const Known& known) { return known.group == group; });
}

// A kind that policy's own groups do not have, and that looks like a typing error.
Sort unknown_kind(std::string_view group, std::string_view kind) {
  if (kind == "AdminNetworkPolicy" || kind == "BaselineAdminNetworkPolicy") {
    return {std::nullopt, fmt::format("{} is not enforced", kind),
            "write it as a ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2"};
  }
  if (std::find(kNeighbours.begin(), kNeighbours.end(), kind) != kNeighbours.end()) return {};
  std::vector<std::string> names;
  for (const Known& known : kKnown) {
    if (known.group == group) names.emplace_back(known.kind);
  }
  const std::string_view near = nearest(kind, names);
  if (near.empty()) return {};
  return {std::nullopt, fmt::format("{} has no kind {}", group, printable(kind, kLongestShown)),
          fmt::format("did you mean {}?", near)};
}

}  // namespace

Sort sort_of(std::string_view api_version, std::string_view kind) {
  if (kind.empty()) return {std::nullopt, "has no kind", "say which kind of object it is: apiVersion and kind"};
  const std::size_t slash = api_version.find('/');
  const std::string_view group = slash == std::string_view::npos ? std::string_view{} : api_version.substr(0, slash);
  for (const Known& known : kKnown) {
    if (known.kind != kind) continue;
    if (api_version == full(known)) return {known.meaning, {}, {}};
    if (api_version.empty())
      return {known.meaning, "has no apiVersion", fmt::format("write apiVersion: {}", full(known))};
    const bool old = kind == "NetworkPolicy" && group == "extensions";
    if (group != known.group && !old && !(slash == std::string_view::npos && !known.group.empty())) continue;
    return {known.meaning, fmt::format("the version {} is not known here", printable(api_version, kLongestShown)),
            fmt::format("write apiVersion: {}", full(known))};
  }
  if (is_policy_group(group) && !is_list_kind(kind)) return unknown_kind(group, kind);
  return {};
}

bool is_list_kind(std::string_view kind) { return kind.ends_with("List"); }

}  // namespace omnitide::policy
