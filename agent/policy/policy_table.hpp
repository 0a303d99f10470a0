// The policies, their rules in the compiler's form, and the pods whose rules a change may concern.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/policy/peer_index.hpp"

namespace omnitide::policy {

using Profiles = std::set<Profile*, BySerial>;

class PolicyTable {
 public:
  explicit PolicyTable(PeerIndex& peers) : peers_(peers) {}

  // NetworkPolicy, ClusterNetworkPolicy or HostPolicy. Rules that stay as they were stay the same part.
  void put(const ObjectKey& key, ObjectRef object);
  void take(const ObjectKey& key);
  void relocate(const ObjectKey& key, ObjectRef object);  // the same content

  // Of a profile that got its first endpoint or lost its last one: its policies may begin or end to matter here.
  void recheck(const Profile& profile);
  // Gives parts to the policies that select an endpoint, or, of HostPolicy, this node; to no others. `own_node`: null
  // when it is not known.
  void activate(const Node* own_node, bool has_host);

  // An identity that PeerIndex::take_changed_identities() has given: named ports of egress rules go by it.
  void recount(const IdentityRecord& identity);

  // Profiles with endpoints whose rules may be others since the last call; whether the host's may be.
  [[nodiscard]] Profiles take_touched() { return std::exchange(touched_, {}); }
  [[nodiscard]] bool take_host_touched() { return std::exchange(host_touched_, false); }

  [[nodiscard]] const PolicyState* find(const ObjectKey& key) const;
  [[nodiscard]] const std::map<ObjectKey, PolicyState>& all() const { return policies_; }
  [[nodiscard]] const RuleOrigin* origin(std::uint32_t index) const;

  void sweep();  // after the sets

 private:
  struct NamedRule {
    Part* part = nullptr;
    std::uint32_t rule = 0;
    auto operator<=>(const NamedRule&) const = default;
  };
  void touch(const PolicyState& policy);
  void drop_subject(PolicyState& policy);
  [[nodiscard]] static bool is_needed(const PolicyState& policy);
  void set_part(PolicyState& policy, Direction direction, bool wanted);
  [[nodiscard]] Part& find_part(const ObjectKey& key, Direction direction, const std::vector<Rule>& source);
  void add_rule(Part& part, const Rule& rule);
  void count_groups(Part& part);
  void hold(Part& part);
  void release(Part& part);
  void forget(Part& part);

  PeerIndex& peers_;
  std::map<ObjectKey, PolicyState> policies_;
  std::map<std::pair<ObjectKey, Direction>, std::vector<std::unique_ptr<Part>>> parts_;
  std::vector<Part*> idle_;
  std::unordered_map<std::string, std::vector<NamedRule>> named_;  // egress rules by the names of their ports
  std::unordered_map<std::uint32_t, RuleOrigin> origins_;
  std::uint32_t next_origin_ = 0;
  std::uint64_t serial_ = 0;
  std::set<PolicyState*, BySerial> unchecked_;  // policies that may have begun or ended to matter
  Profiles touched_;
  bool host_touched_ = false;
};

}  // namespace omnitide::policy
