// The rule sets: made from parts of policies, shared by all endpoints with the same rules, with their rows for peers.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/policy/peer_index.hpp"
#include "agent/policy/policy_table.hpp"
#include "agent/policy/port_rows.hpp"

namespace omnitide::policy {

struct SetHash {
  std::size_t operator()(const SetKey& key) const;
};

// What an endpoint's rules are made of, in one direction. Nothing: open.
[[nodiscard]] std::optional<SetKey> pod_rules(const Profile& profile, Direction direction);
[[nodiscard]] std::optional<SetKey> host_rules(const std::vector<const PolicyState*>& policies, Direction direction);
[[nodiscard]] std::size_t count_rules(const SetKey& key);

class SetTable {
 public:
  SetTable(PeerIndex& peers, SetId first_set) : peers_(peers), next_id_(first_set) {}

  // Of at most kMostRules rules.
  [[nodiscard]] SetRecord* hold(SetKey key);
  void release(SetRecord& set);

  // Rows of new sets, and of new identities in published sets. False when there were more than `most` new ones: what is
  // there then is only good for being taken back.
  [[nodiscard]] bool add_rows(const std::vector<IdentityRecord*>& changed_identities, std::size_t most);

  [[nodiscard]] std::size_t sets() const { return used_; }
  [[nodiscard]] std::size_t rules() const { return used_rules_; }  // of all sets
  // Without those of sets that nobody uses any more and of the identities given that nobody has any more.
  [[nodiscard]] std::size_t rows(const std::vector<IdentityRecord*>& changed_identities) const;
  [[nodiscard]] std::size_t most_rules() const;  // of one set

  void write_all(PlanUpdate& update) const;
  void write_changes(PlanUpdate& update, const std::vector<IdentityRecord*>& changed_identities) const;
  void publish();  // what is used now is what the next changes start from
  // Rows of identities that nobody has any more, sets that nobody uses.
  void sweep(const std::vector<IdentityRecord*>& changed_identities);

 private:
  void build(SetRecord& set);
  void add_rows_of(SetRecord& set);
  void add_rows_for(IdentityRecord& identity);
  void store(SetRecord& set, IdentityRecord& identity, Bits bits);
  void write(PlanUpdate& update, const SetRecord& set) const;
  void unlink(SetRecord& set);

  PeerIndex& peers_;
  Pool<SetKey, SetRecord, SetHash> sets_;
  std::vector<SetRecord*> fresh_;    // without rows yet
  std::vector<SetRecord*> touched_;  // uses began or ended
  std::vector<std::pair<SetRecord*, IdentityRecord*>> added_;
  std::vector<SetRecord*> with_named_;     // sorted by serial
  std::vector<SetRecord*> with_defaults_;  // whose default rows say more than any_pod and any_other; sorted by serial
  SetId next_id_;
  std::size_t used_ = 0, used_rules_ = 0, rows_ = 0;  // rows_: of all sets, also those that wait for sweep()
};

}  // namespace omnitide::policy
