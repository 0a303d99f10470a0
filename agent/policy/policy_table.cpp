#include "agent/policy/policy_table.hpp"

#include <algorithm>

namespace omnitide::policy {

namespace {

// A rule as the policy has it, with what only people need.
struct SourceRule {
  Rule rule;
  RuleOrigin origin;
};

void add_fail_safe(std::vector<SourceRule>& out, const HostPolicy& policy, Direction direction) {
  const auto& ports = direction == Direction::ingress ? policy.fail_safe_ingress : policy.fail_safe_egress;
  if (ports.empty()) return;
  Rule rule;
  rule.any_peer = true;
  rule.ports = ports;
  out.push_back({.rule = rule, .origin = {}});
  out.back().origin.fail_safe = true;
  out.back().origin.where.line = policy.origin.line;
}

// The rules of a policy in one direction, in their order; of HostPolicy with its fail-safe ports before them.
std::vector<SourceRule> rules_of(const Object& object, Direction direction) {
  std::vector<SourceRule> out;
  if (const auto* host = std::get_if<HostPolicy>(&object)) add_fail_safe(out, *host, direction);
  const auto add = [&](const std::vector<Rule>& rules) {
    for (std::uint32_t i = 0; i < rules.size(); ++i) {
      SourceRule source{.rule = rules[i], .origin = {}};
      source.origin.index = i;
      source.origin.name = rules[i].name;
      source.origin.where.line = rules[i].line;
      source.rule.name.clear();
      source.rule.line = 0;
      out.push_back(std::move(source));
    }
  };
  std::visit(
      [&](const auto& policy) {
        if constexpr (requires { policy.ingress; })
          add(direction == Direction::ingress ? policy.ingress : policy.egress);
      },
      object);
  return out;
}

bool has_unknown(const Rule& rule) {
  return std::ranges::any_of(rule.peers, [](const Peer& peer) { return peer.kind == Peer::Kind::unknown; });
}

// Nothing can ever match it.
bool is_void(const Rule& rule) {
  return (rule.action == Action::accept && has_unknown(rule)) || (!rule.any_peer && rule.peers.empty());
}

bool same(const Rule& left, const Rule& right) {
  return left.action == right.action && left.any_peer == right.any_peer && left.peers == right.peers &&
         left.ports == right.ports;
}

bool isolates(const Object& object, Direction direction) {
  if (const auto* policy = std::get_if<NetworkPolicy>(&object))
    return direction == Direction::ingress ? policy->isolates_ingress : policy->isolates_egress;
  return true;  // the other kinds say nothing of the sort about single policies
}

SelectionKey subject_of(const Object& object) {
  if (const auto* policy = std::get_if<NetworkPolicy>(&object))
    return {.nodes = false, .name_space = policy->name_space, .namespaces = {}, .labels = policy->pods};
  const auto& policy = std::get<ClusterNetworkPolicy>(object);
  return {.nodes = false, .name_space = {}, .namespaces = policy.subject_namespaces, .labels = policy.subject_pods};
}

}  // namespace

void PolicyTable::put(const ObjectKey& key, ObjectRef object) {
  const auto [at, fresh] = policies_.try_emplace(key);
  PolicyState& policy = at->second;
  if (fresh) policy.serial = ++serial_;
  policy.object = std::move(object);
  policy.stale = true;
  unchecked_.insert(&policy);
  if (key.kind == ObjectKey::Kind::host_policy) {
    host_touched_ = true;
    return;
  }
  Selection* subject = peers_.hold_selection(subject_of(*policy.object));
  touch(policy);
  drop_subject(policy);
  policy.subject = subject;
  insert_sorted(subject->subjects, &policy);
  touch(policy);
}

void PolicyTable::take(const ObjectKey& key) {
  const auto found = policies_.find(key);
  if (found == policies_.end()) return;
  PolicyState& policy = found->second;
  touch(policy);
  set_part(policy, Direction::ingress, false);
  set_part(policy, Direction::egress, false);
  drop_subject(policy);
  host_touched_ = host_touched_ || key.kind == ObjectKey::Kind::host_policy;
  unchecked_.erase(&policy);
  policies_.erase(found);
}

void PolicyTable::drop_subject(PolicyState& policy) {
  if (policy.subject == nullptr) return;
  erase_sorted(policy.subject->subjects, &policy);
  peers_.release(*policy.subject);
  policy.subject = nullptr;
}

void PolicyTable::relocate(const ObjectKey& key, ObjectRef object) {
  const auto found = policies_.find(key);
  if (found == policies_.end()) return;
  found->second.object = std::move(object);
  found->second.stale = true;
  unchecked_.insert(&found->second);
}

void PolicyTable::recheck(const Profile& profile) {
  const bool begins = !profile.endpoints.empty();
  for (const Selection* selection : profile.selections) {
    for (PolicyState* policy : selection->subjects) {
      if (policy->active != begins) unchecked_.insert(policy);
    }
  }
}

bool PolicyTable::is_needed(const PolicyState& policy) {
  if (policy.subject == nullptr) return policy.selects_host;
  return std::ranges::any_of(policy.subject->profiles, [](const Profile* one) { return !one->endpoints.empty(); });
}

void PolicyTable::activate(const Node* own_node, bool has_host) {
  for (auto& [key, policy] : policies_) {
    const auto* host = std::get_if<HostPolicy>(policy.object.get());
    if (host == nullptr || !has_host) continue;
    const bool everywhere = host->nodes.requirements.empty();
    policy.selects_host = everywhere || (own_node != nullptr && matches(host->nodes, own_node->labels));
    unchecked_.insert(&policy);
  }
  for (PolicyState* policy : std::exchange(unchecked_, {})) {
    const bool needed = is_needed(*policy);
    if (!policy->stale && needed == policy->active) continue;
    policy->stale = false;
    policy->active = needed;
    for (const Direction direction : {Direction::ingress, Direction::egress})
      set_part(*policy, direction, needed && isolates(*policy->object, direction));
  }
}

void PolicyTable::touch(const PolicyState& policy) {
  if (policy.subject == nullptr) {
    host_touched_ = host_touched_ || policy.selects_host;
    return;
  }
  for (Profile* profile : policy.subject->profiles) {
    if (!profile->endpoints.empty()) touched_.insert(profile);
  }
}

// Gives the policy the part that its rules are now, and the rules' origins what they are now.
void PolicyTable::set_part(PolicyState& policy, Direction direction, bool wanted) {
  Part*& slot = direction == Direction::ingress ? policy.ingress : policy.egress;
  Part* old = slot;
  slot = nullptr;
  if (wanted) {
    std::vector<SourceRule> sources = rules_of(*policy.object, direction);
    std::vector<Rule> rules;
    for (const SourceRule& source : sources)
      rules.push_back(source.rule);
    slot = &find_part(key_of(*policy.object), direction, rules);
    hold(*slot);
    slot->owner = &policy;
    std::size_t next = 0;  // void rules have no place in the part
    for (SourceRule& source : sources) {
      if (is_void(source.rule)) continue;
      RuleOrigin& origin = origins_[slot->rules[next++].origin];
      source.origin.policy = slot->policy;
      source.origin.direction = direction;
      source.origin.where.file = origin_of(*policy.object).file;
      source.origin.fails_closed = has_unknown(source.rule);
      source.origin.action = source.origin.fails_closed ? Action::deny : source.rule.action;
      origin = std::move(source.origin);
    }
  }
  if (old != nullptr) release(*old);
}

Part& PolicyTable::find_part(const ObjectKey& key, Direction direction, const std::vector<Rule>& source) {
  std::vector<std::unique_ptr<Part>>& parts = parts_[{key, direction}];
  for (const std::unique_ptr<Part>& part : parts) {
    if (std::ranges::equal(part->source, source, same)) return *part;
  }
  Part& part = *parts.emplace_back(std::make_unique<Part>());
  part.serial = ++serial_;
  part.policy = key;
  part.direction = direction;
  part.source = source;
  for (const Rule& rule : source) {
    if (!is_void(rule)) add_rule(part, rule);
  }
  if (direction == Direction::egress) count_groups(part);
  return part;
}

void PolicyTable::add_rule(Part& part, const Rule& rule) {
  PartRule& out = part.rules.emplace_back();
  while (origins_.contains(next_origin_))
    ++next_origin_;
  out.origin = next_origin_++;
  origins_[out.origin] = {};
  const bool fails_closed = has_unknown(rule);
  out.decision = fails_closed                  ? Decision::deny
                 : rule.action == Action::pass ? Decision::pass
                 : rule.action == Action::deny ? Decision::deny
                                               : Decision::accept;
  out.matcher = fails_closed ? &peers_.find_matcher(true, {}) : &peers_.find_matcher(rule.any_peer, rule.peers);
  out.everything = fails_closed || rule.ports.empty();
  for (const PortMatch& port : rule.ports) {
    const bool every_port = port.name.empty() && port.last == 0;
    if (every_port && port.protocol == Protocol::any) out.everything = true;
    (port.name.empty() ? out.ports : out.names).push_back(port);
  }
  if (out.everything) {
    out.ports.clear();
    out.names.clear();
  }
}

// Which ports the names of egress rules stand for among the pods that are there, and how many identities have each.
void PolicyTable::count_groups(Part& part) {
  for (std::uint32_t i = 0; i < part.rules.size(); ++i) {
    PartRule& rule = part.rules[i];
    std::set<const PeerClass*, BySerial> classes;
    for (const PortMatch& port : rule.names) {
      std::vector<NamedRule>& rules = named_[port.name];
      const NamedRule mine{.part = &part, .rule = i};
      if (std::ranges::find(rules, mine) == rules.end()) rules.push_back(mine);
      const std::vector<PeerClass*>& with_port = peers_.with_port(port.name);
      classes.insert(with_port.begin(), with_port.end());
    }
    for (const PeerClass* peer_class : classes) {
      const std::vector<ResolvedPort> ports = resolve(rule.names, peer_class->key->ports);
      for (const IdentityRecord* identity : peer_class->identities) {
        if (!identity->counted || !matches(*rule.matcher, *identity)) continue;
        for (const ResolvedPort& port : ports)
          ++rule.groups[port];
      }
    }
  }
}

void PolicyTable::recount(const IdentityRecord& identity) {
  std::set<std::pair<Part*, std::uint32_t>> seen;
  const std::vector<NamedPort>& own = identity.key->peer_class->key->ports;
  for (const NamedPort& named : own) {
    const auto found = named_.find(named.name);
    if (found == named_.end()) continue;
    for (const auto& [part, index] : found->second) {
      PartRule& rule = part->rules[index];
      if (!seen.insert({part, index}).second || !matches(*rule.matcher, identity)) continue;
      for (const ResolvedPort& port : resolve(rule.names, own)) {
        std::uint32_t& count = rule.groups[port];
        count += identity.counted ? 1U : ~0U;
        if (part->owner != nullptr && count == (identity.counted ? 1U : 0U)) touch(*part->owner);
        if (count == 0) rule.groups.erase(port);
      }
    }
  }
}

void PolicyTable::hold(Part& part) {
  if (part.uses++ > 0) return;
  for (PartRule& rule : part.rules)
    peers_.hold(*rule.matcher);
}

void PolicyTable::release(Part& part) {
  if (--part.uses > 0) return;
  part.owner = nullptr;
  for (PartRule& rule : part.rules)
    peers_.release(*rule.matcher);
  if (!std::exchange(part.idle, true)) idle_.push_back(&part);
}

void PolicyTable::forget(Part& part) {
  for (std::uint32_t i = 0; i < part.rules.size(); ++i) {
    origins_.erase(part.rules[i].origin);
    if (part.direction == Direction::ingress) continue;
    for (const PortMatch& port : part.rules[i].names) {
      const auto found = named_.find(port.name);
      if (found == named_.end()) continue;
      std::erase(found->second, NamedRule{.part = &part, .rule = i});
      if (found->second.empty()) named_.erase(found);
    }
  }
  const auto parts = parts_.find({part.policy, part.direction});
  std::erase_if(parts->second, [&part](const std::unique_ptr<Part>& one) { return one.get() == &part; });
  if (parts->second.empty()) parts_.erase(parts);
}

void PolicyTable::sweep() {
  for (Part* part : std::exchange(idle_, {})) {
    part->idle = false;
    if (part->uses == 0) forget(*part);
  }
}

const PolicyState* PolicyTable::find(const ObjectKey& key) const {
  const auto found = policies_.find(key);
  return found == policies_.end() ? nullptr : &found->second;
}

const RuleOrigin* PolicyTable::origin(std::uint32_t index) const {
  const auto found = origins_.find(index);
  return found == origins_.end() ? nullptr : &found->second;
}

}  // namespace omnitide::policy
