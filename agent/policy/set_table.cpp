#include "agent/policy/set_table.hpp"

#include <algorithm>
#include <map>

namespace omnitide::policy {

namespace {

// Takes the rules of a set one after the other.
class SetBuilder {
 public:
  explicit SetBuilder(SetRecord& set) : set_(set) {}

  void add_all() {
    const SetKey& key = *set_.key;
    for (std::uint32_t p = 0; p < key.parts.size(); ++p) {
      const Part& part = *key.parts[p];
      for (std::uint32_t r = 0; r < part.rules.size(); ++r)
        add(part.direction, part.rules[r], groups_of(p, r));
      if (p + 1 == key.admin_parts) admin_rules_ = set_.content.rules.size();
    }
    finish();
  }

 private:
  std::vector<ResolvedPort> groups_of(std::uint32_t part, std::uint32_t rule) {
    std::vector<ResolvedPort> out;
    const std::vector<Group>& groups = set_.key->groups;
    for (; next_group_ < groups.size(); ++next_group_) {
      const Group& group = groups[next_group_];
      if (group.part != part || group.rule != rule) break;
      out.push_back(group.port);
    }
    return out;
  }

  std::uint16_t position(const PartRule& rule, RulePorts ports) {
    const auto index = static_cast<std::uint16_t>(set_.content.rules.size());
    set_.content.rules.push_back({.decision = rule.decision, .pass_to = 0, .origin = rule.origin});
    ports_.push_back(std::move(ports));
    return index;
  }

  static PortMatch match(const ResolvedPort& port) {
    return {.protocol = port.protocol, .first = port.number, .last = port.number, .name = {}};
  }

  void add(Direction direction, const PartRule& rule, const std::vector<ResolvedPort>& groups) {
    RulePorts ports{.everything = rule.everything, .ports = rule.ports};
    if (direction == Direction::ingress) {
      for (const ResolvedPort& group : groups)
        ports.ports.push_back(match(group));
    }
    if (ports.everything || !ports.ports.empty()) by_matcher_[rule.matcher].push_back(position(rule, std::move(ports)));
    if (direction == Direction::ingress) return;
    // Each peer has its own number for the name, so there is one rule for each number.
    for (const ResolvedPort& group : groups) {
      const std::uint16_t index = position(rule, {.everything = false, .ports = {match(group)}});
      set_.named.push_back({.matcher = rule.matcher, .source = &rule, .port = group, .rule = index});
    }
  }

  void finish() {
    for (auto& [matcher, rules] : by_matcher_) {
      if (matcher->key->any_pod) merge(set_.any_pod, rules);
      if (matcher->key->any_other) merge(set_.any_other, rules);
      if (matcher->selections.empty() && matcher->blocks.empty()) continue;
      matcher->sets.push_back({.set = &set_, .index = set_.peers.size()});
      set_.peers.push_back({.matcher = matcher, .rules = std::move(rules)});
    }
    const auto count = static_cast<std::uint16_t>(set_.content.rules.size());
    for (std::size_t i = 0; i < set_.content.rules.size(); ++i) {
      PlanRule& rule = set_.content.rules[i];
      if (rule.decision == Decision::pass)
        rule.pass_to = i < admin_rules_ ? static_cast<std::uint16_t>(admin_rules_) : count;
    }
    set_.content.otherwise = set_.key->otherwise;
    set_.content.ports = port_rows(ports_);
  }

  SetRecord& set_;
  std::vector<RulePorts> ports_;
  std::map<Matcher*, Bits, BySerial> by_matcher_;
  std::size_t admin_rules_ = 0, next_group_ = 0;
};

std::size_t default_rows(const SetRecord& set) {
  return (set.default_pod.empty() ? 0U : 1U) + (set.default_other.empty() ? 0U : 1U);
}

bool by_id(const SetRecord* left, const SetRecord* right) { return left->content.id < right->content.id; }

}  // namespace

std::size_t SetHash::operator()(const SetKey& key) const {
  HashOf hash;
  hash.add(static_cast<std::uint64_t>(key.otherwise)).add(key.admin_parts);
  for (const Part* part : key.parts)
    hash.add(part->serial);
  for (const Group& group : key.groups)
    hash.add(group.part).add(group.rule).add(group.port.number);
  return hash.value();
}

SetRecord* SetTable::hold(SetKey key) {
  const auto [set, fresh] = sets_.find_or_make(std::move(key));
  if (fresh) build(*set);
  if (set->uses++ == 0) {
    touched_.push_back(set);
    ++used_;
    used_rules_ += set->content.rules.size();
  }
  return set;
}

void SetTable::release(SetRecord& set) {
  if (--set.uses > 0) return;
  --used_;
  used_rules_ -= set.content.rules.size();
  sets_.leave(set);
  touched_.push_back(&set);
}

void SetTable::build(SetRecord& set) {
  set.content.id = next_id_++;
  if (next_id_ == kOpen) ++next_id_;
  SetBuilder(set).add_all();
  fresh_.push_back(&set);
  if (!set.named.empty()) insert_sorted(with_named_, &set);
}

std::size_t SetTable::rows(const std::vector<IdentityRecord*>& changed_identities) const {
  std::size_t gone = 0;
  std::vector<const SetRecord*> unused;
  for (const SetRecord* set : touched_) {
    if (set->uses == 0) unused.push_back(set);
  }
  std::ranges::sort(unused, BySerial{});
  unused.erase(std::unique(unused.begin(), unused.end()), unused.end());
  for (const SetRecord* set : unused)
    gone += set->rows.size() + default_rows(*set);
  for (const IdentityRecord* identity : changed_identities) {
    if (identity->counted) continue;
    gone += static_cast<std::size_t>(
        std::ranges::count_if(identity->sets, [](const SetRecord* set) { return set->uses > 0; }));
  }
  return rows_ - gone;
}

std::size_t SetTable::most_rules() const {
  std::size_t most = 0;
  for (const auto& [key, set] : sets_)
    most = std::max(most, set.uses > 0 ? set.content.rules.size() : 0);
  return most;
}

void SetTable::write(PlanUpdate& update, const SetRecord& set) const {
  update.sets.push_back(set.content);
  const std::size_t first = update.rows.size();
  for (const auto& [identity, bits] : set.rows) {
    if (identity->counted) update.rows.push_back({.set = set.content.id, .identity = identity->id, .rules = bits});
  }
  if (!set.default_pod.empty())
    update.rows.push_back({.set = set.content.id, .identity = kAnyPod, .rules = set.default_pod});
  if (!set.default_other.empty())
    update.rows.push_back({.set = set.content.id, .identity = kAnyOther, .rules = set.default_other});
  std::ranges::sort(update.rows.begin() + static_cast<std::ptrdiff_t>(first), update.rows.end(), {},
                    &PeerRow::identity);
}

void SetTable::write_all(PlanUpdate& update) const {
  std::vector<const SetRecord*> sets;
  for (const auto& [key, set] : sets_) {
    if (set.uses > 0) sets.push_back(&set);
  }
  std::ranges::sort(sets, by_id);
  for (const SetRecord* set : sets)
    write(update, *set);
}

void SetTable::write_changes(PlanUpdate& update, const std::vector<IdentityRecord*>& changed_identities) const {
  std::vector<const SetRecord*> sets(touched_.begin(), touched_.end());
  std::ranges::sort(sets, by_id);
  sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
  for (const SetRecord* set : sets) {
    if (set->uses > 0 && !set->published) write(update, *set);
    if (set->uses == 0 && set->published) update.gone_sets.push_back(set->content.id);
  }
  const std::size_t first = update.rows.size();
  for (const auto& [set, identity] : added_) {
    if (!set->published || set->uses == 0 || !identity->counted) continue;
    update.rows.push_back({.set = set->content.id, .identity = identity->id, .rules = set->rows.at(identity)});
  }
  std::ranges::sort(update.rows.begin() + static_cast<std::ptrdiff_t>(first), update.rows.end(), {},
                    [](const PeerRow& row) { return std::pair(row.set, row.identity); });
  for (const IdentityRecord* identity : changed_identities) {
    if (identity->counted || !identity->published) continue;
    for (const SetRecord* set : identity->sets) {
      if (set->uses > 0 && set->published)
        update.gone_rows.push_back({.set = set->content.id, .identity = identity->id});
    }
  }
}

void SetTable::publish() {
  for (SetRecord* set : touched_)
    set->published = set->uses > 0;
  touched_.clear();
  added_.clear();
}

void SetTable::unlink(SetRecord& set) {
  rows_ -= set.rows.size() + default_rows(set);
  for (const auto& [identity, bits] : set.rows)
    erase_sorted(identity->sets, &set);
  for (const SetRecord::Peers& peers : set.peers)
    std::erase_if(peers.matcher->sets, [&set](const Matcher::Use& use) { return use.set == &set; });
  erase_sorted(with_named_, &set);
  erase_sorted(with_defaults_, &set);
}

void SetTable::sweep(const std::vector<IdentityRecord*>& changed_identities) {
  fresh_.clear();
  touched_.clear();
  added_.clear();
  sets_.sweep([this](SetRecord& set) { unlink(set); });
  for (IdentityRecord* identity : changed_identities) {
    if (identity->uses > 0) continue;
    for (SetRecord* set : identity->sets)
      rows_ -= set->rows.erase(identity);
    identity->sets.clear();
  }
}

}  // namespace omnitide::policy
