#include "agent/policy/peer_index.hpp"

#include <algorithm>

namespace omnitide::policy {

namespace {

constexpr std::string_view kNamespaceNameLabel = "kubernetes.io/metadata.name";
constexpr std::size_t kMostAnchors = 32;  // of a selection; one with more values goes by its namespace alone

// The kinds of anchor. The numbers only keep them apart.
enum class Anchor : std::uint8_t { pods, nodes, name_space, namespace_label, label, name_space_and_label, node_label };

std::uint64_t anchor(Anchor kind, std::string_view scope = {}, std::string_view key = {}, std::string_view value = {}) {
  return HashOf().add(static_cast<std::uint64_t>(kind)).add(scope).add(key).add(value).value();
}

// The requirement with the fewest values that a label of its key must have; null when there is none.
const Requirement* narrowest(const Selector& selector) {
  const Requirement* best = nullptr;
  for (const Requirement& requirement : selector.requirements) {
    if (requirement.op != Operator::in || requirement.values.size() > kMostAnchors) continue;
    if (best == nullptr || requirement.values.size() < best->values.size()) best = &requirement;
  }
  return best;
}

// The names of namespaces that a selection is bound to; none: bound to no names.
std::vector<std::string> names_of(const SelectionKey& key) {
  if (!key.name_space.empty()) return {key.name_space};
  for (const Requirement& requirement : key.namespaces.requirements) {
    if (requirement.op == Operator::in && requirement.key == kNamespaceNameLabel &&
        requirement.values.size() <= kMostAnchors) {
      return requirement.values;
    }
  }
  return {};
}

}  // namespace

bool selects(const SelectionKey& selection, const ProfileKey& profile) {
  const auto wanted = selection.nodes ? ProfileKey::Kind::node : ProfileKey::Kind::pod;
  if (profile.kind != wanted) return false;
  if (!selection.name_space.empty()) {
    if (profile.name_space != selection.name_space) return false;
  } else if (!selection.namespaces.requirements.empty()) {
    if (!profile.namespace_known || !matches(selection.namespaces, profile.namespace_labels)) return false;
  }
  return matches(selection.labels, profile.labels);
}

PeerIndex::PeerIndex(IdentityId first_identity)
    : first_identity_(std::max<IdentityId>(first_identity & ~kPodBit, kWorld + 1)),
      next_pod_(first_identity_),
      next_other_(first_identity_) {
  nobody_ = hold_profile({});
}

PeerIndex::Anchors PeerIndex::anchors(const ProfileKey& key) {
  Anchors out;
  if (key.kind == ProfileKey::Kind::node) {
    out.push_back(anchor(Anchor::nodes));
    for (const auto& [name, value] : key.labels)
      out.push_back(anchor(Anchor::node_label, {}, name, value));
  }
  if (key.kind != ProfileKey::Kind::pod) return out;
  out.push_back(anchor(Anchor::pods));
  out.push_back(anchor(Anchor::name_space, key.name_space));
  for (const auto& [name, value] : key.namespace_labels)
    out.push_back(anchor(Anchor::namespace_label, {}, name, value));
  for (const auto& [name, value] : key.labels) {
    out.push_back(anchor(Anchor::label, {}, name, value));
    out.push_back(anchor(Anchor::name_space_and_label, key.name_space, name, value));
  }
  return out;
}

PeerIndex::Anchors PeerIndex::anchors(const SelectionKey& key) {
  Anchors out;
  const Requirement* label = narrowest(key.labels);
  const std::vector<std::string> names = names_of(key);
  const Requirement* of_namespace = narrowest(key.namespaces);
  if (key.nodes) {
    if (label == nullptr) return {anchor(Anchor::nodes)};
    for (const std::string& value : label->values)
      out.push_back(anchor(Anchor::node_label, {}, label->key, value));
  } else if (!names.empty()) {
    const bool both = label != nullptr && names.size() * label->values.size() <= kMostAnchors;
    for (const std::string& name : names) {
      if (!both) out.push_back(anchor(Anchor::name_space, name));
      for (std::size_t i = 0; both && i < label->values.size(); ++i)
        out.push_back(anchor(Anchor::name_space_and_label, name, label->key, label->values[i]));
    }
  } else if (label != nullptr) {
    for (const std::string& value : label->values)
      out.push_back(anchor(Anchor::label, {}, label->key, value));
  } else if (of_namespace != nullptr) {
    for (const std::string& value : of_namespace->values)
      out.push_back(anchor(Anchor::namespace_label, {}, of_namespace->key, value));
  } else {
    out.push_back(anchor(Anchor::pods));
  }
  return out;
}

void PeerIndex::link(Profile& profile) {
  for (const std::uint64_t at : anchors(*profile.key)) {
    insert_sorted(profiles_at_[at], &profile);
    const auto found = selections_at_.find(at);
    if (found == selections_at_.end()) continue;
    for (Selection* selection : found->second) {
      if (!selects(*selection->key, *profile.key)) continue;
      insert_sorted(profile.selections, selection);
      insert_sorted(selection->profiles, &profile);
    }
  }
}

void PeerIndex::link(Selection& selection) {
  for (const std::uint64_t at : anchors(*selection.key)) {
    insert_sorted(selections_at_[at], &selection);
    const auto found = profiles_at_.find(at);
    if (found == profiles_at_.end()) continue;
    for (Profile* profile : found->second) {
      if (!selects(*selection.key, *profile->key)) continue;
      insert_sorted(selection.profiles, profile);
      insert_sorted(profile->selections, &selection);
    }
  }
}

namespace {

template <class Map, class Key, class Record>
void erase_from(Map& map, const Key& key, const Record* record) {
  const auto found = map.find(key);
  if (found == map.end()) return;
  erase_sorted(found->second, record);
  if (found->second.empty()) map.erase(found);
}

}  // namespace

void PeerIndex::unlink(Profile& profile) {
  for (const std::uint64_t at : anchors(*profile.key))
    erase_from(profiles_at_, at, &profile);
  for (Selection* selection : profile.selections)
    erase_sorted(selection->profiles, &profile);
}

void PeerIndex::unlink(Selection& selection) {
  for (const std::uint64_t at : anchors(*selection.key))
    erase_from(selections_at_, at, &selection);
  for (Profile* profile : selection.profiles)
    erase_sorted(profile->selections, &selection);
}

Profile* PeerIndex::hold_profile(ProfileKey key) {
  const auto [profile, fresh] = profiles_.find_or_make(std::move(key));
  ++profile->uses;
  if (fresh) link(*profile);
  return profile;
}

void PeerIndex::release(Profile& profile) {
  if (--profile.uses == 0) profiles_.leave(profile);
}

Selection& PeerIndex::find_selection(SelectionKey key) {
  const auto [selection, fresh] = selections_.find_or_make(std::move(key));
  if (fresh) {
    link(*selection);
    selections_.leave(*selection);  // unless it is held before the sweep
  }
  return *selection;
}

Selection* PeerIndex::hold_selection(SelectionKey key) {
  Selection& selection = find_selection(std::move(key));
  ++selection.uses;
  return &selection;
}

void PeerIndex::release(Selection& selection) {
  if (--selection.uses == 0) selections_.leave(selection);
}

const std::vector<PeerClass*>& PeerIndex::with_port(const std::string& name) const {
  static const std::vector<PeerClass*> kNone;
  const auto found = with_port_.find(name);
  return found == with_port_.end() ? kNone : found->second;
}

void PeerIndex::sweep() {
  // Who points to a record goes before it.
  matchers_.sweep([](Matcher& matcher) {
    for (Selection* selection : matcher.selections)
      erase_sorted(selection->matchers, &matcher);
    for (BlockRecord* block : matcher.blocks)
      erase_sorted(block->matchers, &matcher);
  });
  identities_.sweep([this](IdentityRecord& identity) {
    erase_sorted(identity.key->peer_class->identities, &identity);
    erase_sorted(identity.key->address_class->identities, &identity);
    by_id_.erase(identity.id);
  });
  peer_classes_.sweep([this](PeerClass& peer_class) {
    for (Selection* selection : peer_class.selections)
      erase_sorted(selection->classes, &peer_class);
    for (const NamedPort& port : peer_class.key->ports)
      erase_from(with_port_, port.name, &peer_class);
  });
  classes_.sweep([](AddressClass& address_class) {
    for (BlockRecord* block : address_class.blocks)
      erase_sorted(block->classes, &address_class);
  });
  blocks_.sweep([](BlockRecord&) {});
  profiles_.sweep([this](Profile& profile) { unlink(profile); });
  selections_.sweep([this](Selection& selection) { unlink(selection); });
}

}  // namespace omnitide::policy
