// The peer rows of rule sets: which rules include which identity.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "agent/policy/set_table.hpp"

namespace omnitide::policy {

namespace {

void add(Bits& bits, const Bits& more) { bits.insert(bits.end(), more.begin(), more.end()); }

void settle(Bits& bits) {
  std::ranges::sort(bits);
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
}

template <class Map>
const Bits& at(const Map& map, const typename Map::key_type& key) {
  static const Bits kNone;
  const auto found = map.find(key);
  return found == map.end() ? kNone : found->second;
}

// A set that was there before: new ones have all their rows when they are made.
bool stays(const SetRecord& set) { return set.published && set.uses > 0; }

bool resolves(const SetRecord::Named& named, const PeerClass& peer_class) {
  const std::vector<ResolvedPort> ports = resolve(named.source->names, peer_class.key->ports);
  return std::ranges::binary_search(ports, named.port);
}

// What a set's rules say, by what an identity is made of.
struct Contributions {
  std::unordered_map<PeerClass*, Bits> by_peer;
  std::unordered_map<AddressClass*, Bits> by_class;
  std::unordered_map<IdentityRecord*, Bits> by_identity;  // named ports of egress rules

  explicit Contributions(const SetRecord& set) {
    for (const SetRecord::Peers& peers : set.peers) {
      for (const Selection* selection : peers.matcher->selections) {
        for (PeerClass* peer_class : selection->classes)
          add(by_peer[peer_class], peers.rules);
      }
      for (const BlockRecord* block : peers.matcher->blocks) {
        for (AddressClass* address_class : block->classes)
          add(by_class[address_class], peers.rules);
      }
    }
    for (auto& [peer_class, bits] : by_peer)
      settle(bits);
    for (auto& [address_class, bits] : by_class)
      settle(bits);
  }

  void add_named(const SetRecord& set, const PeerIndex& index) {
    for (const SetRecord::Named& named : set.named) {
      std::unordered_set<PeerClass*> seen;
      for (const PortMatch& port : named.source->names) {
        for (PeerClass* peer_class : index.with_port(port.name)) {
          if (!seen.insert(peer_class).second || !resolves(named, *peer_class)) continue;
          for (IdentityRecord* identity : peer_class->identities) {
            if (identity->counted && matches(*named.matcher, *identity)) by_identity[identity].push_back(named.rule);
          }
        }
      }
    }
    for (auto& [identity, bits] : by_identity)
      settle(bits);
  }

  // What most identities of pods, or of others, have by `any` and by their addresses alone. It becomes their default
  // row, so that a block such as 0.0.0.0/0 needs no row for each of them.
  [[nodiscard]] Bits most_common(const Bits& any, bool pods, std::uint32_t identities) const {
    std::map<Bits, std::uint32_t> weights;
    std::uint32_t plain = identities;
    for (const auto& [address_class, bits] : by_class) {
      const std::uint32_t weight = pods ? address_class->pods : address_class->others;
      if (weight == 0) continue;
      Bits both = any;
      merge(both, bits);
      if (both == any) continue;
      weights[std::move(both)] += weight;
      plain -= weight;
    }
    weights[any] += plain;
    const auto heaviest = std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; });
    return heaviest->first;
  }
};

}  // namespace

bool SetTable::add_rows(const std::vector<IdentityRecord*>& changed_identities, std::size_t most) {
  for (SetRecord* set : std::exchange(fresh_, {})) {
    if (set->uses > 0) add_rows_of(*set);
    if (added_.size() > most) return false;
  }
  for (IdentityRecord* identity : changed_identities) {
    if (identity->counted && !identity->published) add_rows_for(*identity);
    if (added_.size() > most) return false;
  }
  return true;
}

void SetTable::store(SetRecord& set, IdentityRecord& identity, Bits bits) {
  if (set.rows.insert_or_assign(&identity, std::move(bits)).second) ++rows_;
  insert_sorted(identity.sets, &set);
  added_.emplace_back(&set, &identity);
}

void SetTable::add_rows_of(SetRecord& set) {
  Contributions all(set);
  all.add_named(set, peers_);
  set.default_pod = all.most_common(set.any_pod, true, peers_.pods());
  set.default_other = all.most_common(set.any_other, false, peers_.others());
  rows_ += (set.default_pod.empty() ? 0U : 1U) + (set.default_other.empty() ? 0U : 1U);
  if (set.default_pod != set.any_pod || set.default_other != set.any_other) insert_sorted(with_defaults_, &set);

  const auto consider = [&](IdentityRecord* identity) {
    if (!identity->counted || set.rows.contains(identity)) return;
    Bits bits = identity->is_pod() ? set.any_pod : set.any_other;
    merge(bits, at(all.by_peer, identity->key->peer_class));
    merge(bits, at(all.by_class, identity->key->address_class));
    merge(bits, at(all.by_identity, identity));
    if (bits != (identity->is_pod() ? set.default_pod : set.default_other)) store(set, *identity, std::move(bits));
  };
  for (const auto& [peer_class, bits] : all.by_peer)
    std::ranges::for_each(peer_class->identities, consider);
  for (const auto& [identity, bits] : all.by_identity)
    consider(identity);
  for (const auto& [address_class, bits] : all.by_class)
    std::ranges::for_each(address_class->identities, consider);
  if (set.default_pod == set.any_pod && set.default_other == set.any_other) return;
  for (const auto& [key, address_class] : peers_.classes()) {
    if (!all.by_class.contains(const_cast<AddressClass*>(&address_class)))
      std::ranges::for_each(address_class.identities, consider);
  }
}

void SetTable::add_rows_for(IdentityRecord& identity) {
  std::unordered_map<SetRecord*, Bits> found;
  const auto add_uses = [&found](const std::vector<Matcher*>& matchers) {
    for (const Matcher* matcher : matchers) {
      for (const Matcher::Use& use : matcher->sets)
        if (stays(*use.set)) add(found[use.set], use.set->peers[use.index].rules);
    }
  };
  const PeerClass& peer_class = *identity.key->peer_class;
  for (const Selection* selection : peer_class.selections)
    add_uses(selection->matchers);
  for (const BlockRecord* block : identity.key->address_class->blocks)
    add_uses(block->matchers);
  for (SetRecord* set : with_defaults_) {
    if (stays(*set)) found.try_emplace(set);
  }
  if (identity.is_pod() && !peer_class.key->ports.empty()) {
    for (SetRecord* set : with_named_) {
      if (!stays(*set)) continue;
      for (const SetRecord::Named& named : set->named) {
        if (resolves(named, peer_class) && matches(*named.matcher, identity)) found[set].push_back(named.rule);
      }
    }
  }
  for (auto& [set, bits] : found) {
    settle(bits);
    Bits row = identity.is_pod() ? set->any_pod : set->any_other;
    merge(row, bits);
    if (row != (identity.is_pod() ? set->default_pod : set->default_other)) store(*set, identity, std::move(row));
  }
}

}  // namespace omnitide::policy
