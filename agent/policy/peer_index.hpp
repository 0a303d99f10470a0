// Which pods, nodes and addresses each peer of a rule includes, kept up to date as they come and go.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/policy/records.hpp"

namespace omnitide::policy {

struct RecordHash {
  std::size_t operator()(const ProfileKey& key) const;
  std::size_t operator()(const SelectionKey& key) const;
  std::size_t operator()(const Block& key) const;
  std::size_t operator()(const MatcherKey& key) const;
  std::size_t operator()(const ClassKey& key) const;
  std::size_t operator()(const PeerClassKey& key) const;
  std::size_t operator()(const IdentityKey& key) const;
  std::size_t operator()(const Prefix& key) const;
};

// hold() counts a use and release() gives it back; what has none is gone after sweep().
class PeerIndex {
 public:
  explicit PeerIndex(IdentityId first_identity);

  [[nodiscard]] Profile* hold_profile(ProfileKey key);
  [[nodiscard]] Selection* hold_selection(SelectionKey key);
  // Of the peers of one rule; none may be unknown. The caller holds it at once.
  [[nodiscard]] Matcher& find_matcher(bool any_peer, const std::vector<Peer>& peers);
  [[nodiscard]] IdentityRecord* hold_identity(Profile& profile, const Prefix& where);
  void hold(Profile& profile) { ++profile.uses; }
  void hold(Matcher& matcher);
  void release(Profile& profile);
  void release(Selection& selection);
  void release(Matcher& matcher);
  void release(IdentityRecord& identity);

  [[nodiscard]] Profile& nobody() { return *nobody_; }  // of addresses without pod and node

  // Blocks that have begun or ended to be used since the last call; from then on classes know it.
  [[nodiscard]] std::vector<BlockRecord*> take_changed_blocks();
  // The same of selections: these are the profiles whose class is another one now.
  [[nodiscard]] std::unordered_set<Profile*> take_changed_profiles();
  // Identities that addresses have begun or ended to have, with `counted` as it is now.
  [[nodiscard]] std::vector<IdentityRecord*> take_changed_identities();

  // Classes of pods with a port of that name, in no order.
  [[nodiscard]] const std::vector<PeerClass*>& with_port(const std::string& name) const;
  [[nodiscard]] const Pool<ClassKey, AddressClass, RecordHash>& classes() const { return classes_; }
  [[nodiscard]] const IdentityRecord* identity(IdentityId id) const;
  [[nodiscard]] std::uint32_t pods() const { return counted_pods_; }      // counted identities
  [[nodiscard]] std::uint32_t others() const { return counted_others_; }  // the same, not of pods

  // After the sets and the parts have been swept, and the rows of identities that nobody has any more.
  void sweep();

 private:
  using Anchors = std::vector<std::uint64_t>;
  [[nodiscard]] static Anchors anchors(const ProfileKey& key);
  [[nodiscard]] static Anchors anchors(const SelectionKey& key);
  void link(Profile& profile);
  void link(Selection& selection);
  void unlink(Profile& profile);
  void unlink(Selection& selection);
  [[nodiscard]] Selection& find_selection(SelectionKey key);
  [[nodiscard]] BlockRecord& find_block(const Block& block);
  [[nodiscard]] AddressClass& class_of(const Prefix& where);
  [[nodiscard]] PeerClass& class_of(const Profile& profile);
  [[nodiscard]] IdentityId next_id(bool pod);

  Pool<ProfileKey, Profile, RecordHash> profiles_;
  Pool<SelectionKey, Selection, RecordHash> selections_;
  Pool<Block, BlockRecord, RecordHash> blocks_;
  Pool<MatcherKey, Matcher, RecordHash> matchers_;
  Pool<ClassKey, AddressClass, RecordHash> classes_;
  Pool<PeerClassKey, PeerClass, RecordHash> peer_classes_;
  Pool<IdentityKey, IdentityRecord, RecordHash> identities_;
  Profile* nobody_ = nullptr;

  // A profile's anchors are its namespace and its labels, hashed; a selection has those of which a profile that it
  // selects must have one.
  std::unordered_map<std::uint64_t, std::vector<Profile*>> profiles_at_;
  std::unordered_map<std::uint64_t, std::vector<Selection*>> selections_at_;
  std::unordered_map<std::string, std::vector<PeerClass*>> with_port_;
  std::unordered_map<Prefix, std::vector<BlockRecord*>, RecordHash> active_;  // by cidr
  std::array<std::uint32_t, 129> active_lengths_{};                           // how many of active_ have this length
  std::vector<BlockRecord*> changed_blocks_;
  std::vector<Selection*> changed_selections_;
  std::vector<IdentityRecord*> changed_identities_;
  std::unordered_map<IdentityId, const IdentityRecord*> by_id_;
  IdentityId first_identity_, next_pod_, next_other_;
  std::uint32_t counted_pods_ = 0, counted_others_ = 0;
};

// Whether the selection selects such pods or nodes; what is not known of a namespace matches only an empty selector.
[[nodiscard]] bool selects(const SelectionKey& selection, const ProfileKey& profile);
[[nodiscard]] bool matches(const Matcher& matcher, const IdentityRecord& identity);
// The ports of a pod that the names stand for, ascending, each once.
[[nodiscard]] std::vector<ResolvedPort> resolve(const std::vector<PortMatch>& names,
                                                const std::vector<NamedPort>& ports);

}  // namespace omnitide::policy
