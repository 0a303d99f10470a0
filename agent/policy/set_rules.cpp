// Which rules an endpoint has, and in what order.
#include <algorithm>
#include <tuple>

#include "agent/policy/set_table.hpp"

namespace omnitide::policy {

namespace {

using Policies = std::vector<const PolicyState*>;

const ClusterNetworkPolicy* cluster(const PolicyState* policy) {
  return std::get_if<ClusterNetworkPolicy>(policy->object.get());
}

// In a tier, by priority and then by name; policies of other kinds have one namespace, and go by their names.
bool comes_before(const PolicyState* left, const PolicyState* right) {
  const auto rank = [](const PolicyState* policy) {
    const ClusterNetworkPolicy* one = cluster(policy);
    return one == nullptr ? 0U : one->priority + 0U;
  };
  return std::tuple(rank(left), std::string_view(left->name())) <
         std::tuple(rank(right), std::string_view(right->name()));
}

// Puts the part behind those that the key has. `ports`: of the endpoint's pod, which names of ingress rules mean.
void add_part(SetKey& key, const Part* part, const std::vector<NamedPort>& ports) {
  const std::size_t before = key.groups.size();
  bool effective = false;
  for (std::uint32_t i = 0; i < part->rules.size(); ++i) {
    const PartRule& rule = part->rules[i];
    effective = effective || rule.everything || !rule.ports.empty();
    const auto add = [&](const ResolvedPort& port) {
      key.groups.push_back({.part = static_cast<std::uint32_t>(key.parts.size()), .rule = i, .port = port});
    };
    if (rule.names.empty()) continue;
    if (part->direction == Direction::ingress) {
      std::ranges::for_each(resolve(rule.names, ports), add);
    } else {
      for (const auto& [port, identities] : rule.groups)
        add(port);
    }
  }
  if (effective || key.groups.size() > before) key.parts.push_back(const_cast<Part*>(part));
}

const Part* part_of(const PolicyState* policy, Direction direction) {
  return direction == Direction::ingress ? policy->ingress : policy->egress;
}

void add_parts(SetKey& key, Policies policies, Direction direction, const std::vector<NamedPort>& ports) {
  std::erase_if(policies, [direction](const PolicyState* policy) {
    const Part* part = part_of(policy, direction);
    return part == nullptr || part->rules.empty();
  });
  std::ranges::sort(policies, comes_before);
  for (const PolicyState* policy : policies)
    add_part(key, part_of(policy, direction), ports);
}

bool isolates(const NetworkPolicy& policy, Direction direction) {
  return direction == Direction::ingress ? policy.isolates_ingress : policy.isolates_egress;
}

}  // namespace

std::optional<SetKey> pod_rules(const Profile& profile, Direction direction) {
  Policies admin, plain, baseline;
  for (const Selection* selection : profile.selections) {
    for (const PolicyState* policy : selection->subjects) {
      if (const auto* network = std::get_if<NetworkPolicy>(policy->object.get())) {
        if (isolates(*network, direction)) plain.push_back(policy);
      } else {
        (cluster(policy)->tier == Tier::admin ? admin : baseline).push_back(policy);
      }
    }
  }
  const bool isolated = !plain.empty();
  SetKey key;
  key.otherwise = isolated ? Decision::deny : Decision::accept;
  add_parts(key, std::move(admin), direction, profile.key->ports);
  key.admin_parts = static_cast<std::uint32_t>(key.parts.size());
  // NetworkPolicies decide finally about a pod that they isolate: no Baseline behind them.
  add_parts(key, std::move(isolated ? plain : baseline), direction, profile.key->ports);
  if (!isolated && key.parts.empty()) return std::nullopt;
  return key;
}

std::optional<SetKey> host_rules(const std::vector<const PolicyState*>& policies, Direction direction) {
  const bool isolated = std::ranges::any_of(policies, [direction](const PolicyState* policy) {
    const auto& host = std::get<HostPolicy>(*policy->object);
    return direction == Direction::ingress ? host.isolates_ingress : host.isolates_egress;
  });
  if (!isolated) return std::nullopt;
  SetKey key;
  key.otherwise = Decision::deny;
  add_parts(key, policies, direction, {});
  return key;
}

std::size_t count_rules(const SetKey& key) {
  std::size_t count = 0;
  auto group = key.groups.begin();
  for (std::uint32_t p = 0; p < key.parts.size(); ++p) {
    for (std::uint32_t r = 0; r < key.parts[p]->rules.size(); ++r) {
      const PartRule& rule = key.parts[p]->rules[r];
      const auto first = group;
      while (group != key.groups.end() && group->part == p && group->rule == r)
        ++group;
      const auto groups = static_cast<std::size_t>(group - first);
      const bool plain = rule.everything || !rule.ports.empty();
      if (key.parts[p]->direction == Direction::ingress) {
        count += plain || groups > 0 ? 1 : 0;
      } else {
        count += groups + (plain ? 1 : 0);
      }
    }
  }
  return count;
}

}  // namespace omnitide::policy
