// Matchers, and the classes of peers and of addresses that those in use make: identities.
#include <algorithm>
#include <iterator>

#include "agent/policy/peer_index.hpp"

namespace omnitide::policy {

namespace {

constexpr IdentityId kLastNumber = kPodBit - 3;  // with kPodBit still below kAnyPod

bool is_root(const Block& block, bool v4) {
  return block.cidr.length == (v4 ? kMappedBits : 0) && block.cidr.is_v4() == v4 && block.except.empty();
}

bool has_root(const std::vector<Peer>& peers, bool v4) {
  return std::ranges::any_of(peers, [v4](const Peer& peer) {
    return std::ranges::any_of(peer.blocks, [v4](const Block& block) { return is_root(block, v4); });
  });
}

bool is_any_pod(const Peer& peer) {
  return peer.kind == Peer::Kind::pods && peer.name_space.empty() && peer.namespaces.requirements.empty() &&
         peer.pods.requirements.empty();
}

template <class Record>
std::vector<std::uint64_t> serials(const std::vector<Record*>& records) {
  std::vector<std::uint64_t> out;
  out.reserve(records.size());
  for (const Record* record : records)
    out.push_back(record->serial);
  return out;
}

}  // namespace

bool matches(const Matcher& matcher, const IdentityRecord& identity) {
  if (identity.is_pod() ? matcher.key->any_pod : matcher.key->any_other) return true;
  const auto& selections = identity.key->peer_class->selections;
  const auto& blocks = identity.key->address_class->blocks;
  return std::ranges::any_of(matcher.selections, [&](Selection* one) { return contains_sorted(selections, one); }) ||
         std::ranges::any_of(matcher.blocks, [&](BlockRecord* one) { return contains_sorted(blocks, one); });
}

std::vector<ResolvedPort> resolve(const std::vector<PortMatch>& names, const std::vector<NamedPort>& ports) {
  std::vector<ResolvedPort> out;
  for (const PortMatch& wanted : names) {
    for (const NamedPort& port : ports) {
      const bool fits = wanted.protocol == Protocol::any || wanted.protocol == port.protocol;
      if (fits && wanted.name == port.name) out.push_back({.protocol = port.protocol, .number = port.number});
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

BlockRecord& PeerIndex::find_block(const Block& block) {
  const auto [record, fresh] = blocks_.find_or_make(block);
  if (fresh) blocks_.leave(*record);  // unless it is held before the sweep
  return *record;
}

Matcher& PeerIndex::find_matcher(bool any_peer, const std::vector<Peer>& peers) {
  const bool any = any_peer || (has_root(peers, true) && has_root(peers, false));
  const bool any_pod = any || std::ranges::any_of(peers, is_any_pod);
  std::vector<Selection*> selections;
  std::vector<BlockRecord*> blocks;
  for (const Peer& peer : peers) {
    if (any) break;
    if (peer.kind == Peer::Kind::nodes) {
      insert_sorted(selections,
                    &find_selection({.nodes = true, .name_space = {}, .namespaces = {}, .labels = peer.nodes}));
    } else if (peer.kind == Peer::Kind::pods && !any_pod) {
      insert_sorted(selections, &find_selection({.nodes = false,
                                                 .name_space = peer.name_space,
                                                 .namespaces = peer.name_space.empty() ? peer.namespaces : Selector{},
                                                 .labels = peer.pods}));
    }
    for (const Block& block : peer.blocks)
      insert_sorted(blocks, &find_block(block));
  }
  const auto [matcher, fresh] = matchers_.find_or_make(
      {.any_pod = any_pod, .any_other = any, .selections = serials(selections), .blocks = serials(blocks)});
  if (!fresh) return *matcher;
  matcher->selections = std::move(selections);
  matcher->blocks = std::move(blocks);
  for (Selection* selection : matcher->selections)
    insert_sorted(selection->matchers, matcher);
  for (BlockRecord* block : matcher->blocks)
    insert_sorted(block->matchers, matcher);
  return *matcher;
}

void PeerIndex::hold(Matcher& matcher) {
  if (matcher.uses++ > 0) return;
  for (Selection* selection : matcher.selections) {
    ++selection->uses;
    if (selection->peer_uses++ == 0) changed_selections_.push_back(selection);
  }
  for (BlockRecord* block : matcher.blocks) {
    if (block->uses++ == 0) changed_blocks_.push_back(block);
  }
}

void PeerIndex::release(Matcher& matcher) {
  if (--matcher.uses > 0) return;
  matchers_.leave(matcher);
  for (Selection* selection : matcher.selections) {
    if (--selection->peer_uses == 0) changed_selections_.push_back(selection);
    release(*selection);
  }
  for (BlockRecord* block : matcher.blocks) {
    if (--block->uses > 0) continue;
    blocks_.leave(*block);
    changed_blocks_.push_back(block);
  }
}

std::vector<BlockRecord*> PeerIndex::take_changed_blocks() {
  std::vector<BlockRecord*> out;
  for (BlockRecord* block : std::exchange(changed_blocks_, {})) {
    if (block->active == (block->uses > 0)) continue;
    block->active = !block->active;
    auto& peers = active_[block->key->cidr];
    if (block->active) {
      insert_sorted(peers, block);
      ++active_lengths_[block->key->cidr.length];
    } else {
      erase_sorted(peers, block);
      if (peers.empty()) active_.erase(block->key->cidr);
      --active_lengths_[block->key->cidr.length];
    }
    out.push_back(block);
  }
  return out;
}

AddressClass& PeerIndex::class_of(const Prefix& where) {
  std::vector<BlockRecord*> blocks;
  for (std::uint8_t length = where.is_v4() ? kMappedBits : 0; length <= where.length; ++length) {
    if (active_lengths_[length] == 0) continue;
    const auto found = active_.find(make_prefix(where.address, length));
    if (found == active_.end()) continue;
    for (BlockRecord* block : found->second) {
      const bool outside =
          std::ranges::any_of(block->key->except, [&where](const Prefix& except) { return except.contains(where); });
      if (!outside) blocks.push_back(block);
    }
  }
  std::ranges::sort(blocks, BySerial{});
  const auto [made, fresh] = classes_.find_or_make(serials(blocks));
  if (fresh) {
    made->blocks = std::move(blocks);
    for (BlockRecord* block : made->blocks)
      insert_sorted(block->classes, made);
  }
  return *made;
}

std::unordered_set<Profile*> PeerIndex::take_changed_profiles() {
  std::unordered_set<Profile*> out;
  for (Selection* selection : std::exchange(changed_selections_, {})) {
    if (selection->active == (selection->peer_uses > 0)) continue;
    selection->active = !selection->active;
    out.insert(selection->profiles.begin(), selection->profiles.end());
  }
  return out;
}

PeerClass& PeerIndex::class_of(const Profile& profile) {
  std::vector<Selection*> selections;
  std::ranges::copy_if(profile.selections, std::back_inserter(selections), &Selection::active);
  const auto [made, fresh] = peer_classes_.find_or_make(
      {.kind = profile.key->kind, .selections = serials(selections), .ports = profile.key->ports});
  if (fresh) {
    made->selections = std::move(selections);
    for (Selection* selection : made->selections)
      insert_sorted(selection->classes, made);
    for (const NamedPort& port : made->key->ports)
      insert_sorted(with_port_[port.name], made);
  }
  return *made;
}

IdentityRecord* PeerIndex::hold_identity(Profile& profile, const Prefix& where) {
  AddressClass& address_class = class_of(where);
  PeerClass& peer_class = class_of(profile);
  const auto [identity, fresh] = identities_.find_or_make({.peer_class = &peer_class, .address_class = &address_class});
  if (fresh) {
    const bool world = &profile == nobody_ && address_class.blocks.empty();
    identity->id = world ? kWorld : next_id(profile.key->kind == ProfileKey::Kind::pod);
    by_id_.emplace(identity->id, identity);
    insert_sorted(peer_class.identities, identity);
    insert_sorted(address_class.identities, identity);
  }
  if (identity->uses++ == 0) {
    ++peer_class.uses;
    ++address_class.uses;
    changed_identities_.push_back(identity);
  }
  return identity;
}

void PeerIndex::release(IdentityRecord& identity) {
  if (--identity.uses > 0) return;
  identities_.leave(identity);
  if (--identity.key->peer_class->uses == 0) peer_classes_.leave(*identity.key->peer_class);
  if (--identity.key->address_class->uses == 0) classes_.leave(*identity.key->address_class);
  changed_identities_.push_back(&identity);
}

std::vector<IdentityRecord*> PeerIndex::take_changed_identities() {
  std::vector<IdentityRecord*> out;
  for (IdentityRecord* identity : std::exchange(changed_identities_, {})) {
    if (identity->counted == (identity->uses > 0)) continue;
    identity->counted = !identity->counted;
    const std::uint32_t change = identity->counted ? 1U : ~0U;  // plus or minus one
    (identity->is_pod() ? counted_pods_ : counted_others_) += change;
    AddressClass& address_class = *identity->key->address_class;
    (identity->is_pod() ? address_class.pods : address_class.others) += change;
    out.push_back(identity);
  }
  return out;
}

IdentityId PeerIndex::next_id(bool pod) {
  IdentityId& next = pod ? next_pod_ : next_other_;
  for (;;) {
    const IdentityId id = next | (pod ? kPodBit : 0);
    next = next >= kLastNumber ? kWorld + 1 : next + 1;
    if (!by_id_.contains(id)) return id;
  }
}

const IdentityRecord* PeerIndex::identity(IdentityId id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

}  // namespace omnitide::policy
