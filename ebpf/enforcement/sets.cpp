#include "ebpf/enforcement/sets.hpp"

#include <algorithm>
#include <utility>

namespace omnitide::enforcement {

namespace {

std::uint64_t row_key(policy::SetId set, policy::IdentityId identity) { return std::uint64_t{set} << 32U | identity; }

policy_peer_key peer_key(std::uint64_t key) {
  return {.set = static_cast<std::uint32_t>(key >> 32U), .identity = static_cast<std::uint32_t>(key)};
}

}  // namespace

std::uint32_t Sets::flags(policy::SetId set) const {
  const auto found = live_.find(set);
  return found == live_.end() ? 0 : found->second.flags;
}

bool Sets::collides(const policy::PlanUpdate& update) const {
  if (!unsettled()) return false;
  const auto dead_set = [this](const policy::RuleSet& set) { return dead_.contains(set.id); };
  const auto dead_row = [this](const policy::PeerRow& row) {
    return dead_.contains(row.set) || dead_rows_.contains(row_key(row.set, row.identity));
  };
  return std::any_of(update.sets.begin(), update.sets.end(), dead_set) ||
         std::any_of(update.rows.begin(), update.rows.end(), dead_row);
}

void Sets::commit(const policy::PlanUpdate& update) {
  for (const policy::RuleSet& set : update.sets) {
    Record& record = live_[set.id];
    record.flags = set_flags(set);
    record.rules = static_cast<std::uint32_t>(set.rules.size());
    for (const policy::PortRow& row : set.ports)
      record.ports.push_back(port_key(row));
  }
  for (const policy::PeerRow& row : update.rows)
    live_[row.set].rows.push_back(row.identity);

  std::unordered_map<policy::SetId, std::unordered_set<policy::IdentityId>> gone;
  for (const policy::PeerRowKey& row : update.gone_rows) {
    if (live_.contains(row.set)) gone[row.set].insert(row.identity);
  }
  for (const auto& [set, identities] : gone) {
    const auto leaves = [this, set = set, &identities = identities](policy::IdentityId identity) {
      return identities.contains(identity) && dead_rows_.insert(row_key(set, identity)).second;
    };
    std::erase_if(live_[set].rows, leaves);
  }
  for (const policy::SetId set : update.gone_sets) {
    if (auto node = live_.extract(set)) dead_.insert(std::move(node));
  }
}

Removal Sets::removal() const {
  Removal out;
  for (const auto& [set, record] : dead_) {
    for (std::uint32_t i = 0; i < record.rules; ++i)
      out.rules.push_back({.set = set, .rule = i});
    for (const PortKey& port : record.ports) {
      if (port.is_range()) {
        out.ranges.push_back(range_key(set, port));
      } else {
        out.ports.push_back(exact_key(set, port));
      }
    }
    for (const policy::IdentityId identity : record.rows)
      out.peers.push_back({.set = set, .identity = identity});
  }
  for (const std::uint64_t key : dead_rows_)
    out.peers.push_back(peer_key(key));
  return out;
}

void Sets::settled() {
  dead_.clear();
  dead_rows_.clear();
}

void Sets::subtract(policy::PlanUpdate& whole) const {
  std::unordered_set<policy::SetId> named;
  for (const policy::RuleSet& set : whole.sets)
    named.insert(set.id);
  Keys rows, there;
  for (const auto& [set, record] : live_) {
    if (!named.contains(set)) whole.gone_sets.push_back(set);
    for (const policy::IdentityId identity : record.rows)
      there.insert(row_key(set, identity));
  }
  for (const policy::PeerRow& row : whole.rows)
    rows.insert(row_key(row.set, row.identity));
  for (const std::uint64_t key : there) {
    const policy_peer_key row = peer_key(key);
    if (named.contains(row.set) && !rows.contains(key)) whole.gone_rows.push_back({row.set, row.identity});
  }
  std::erase_if(whole.sets, [this](const policy::RuleSet& set) { return live_.contains(set.id); });
  std::erase_if(whole.rows,
                [&there](const policy::PeerRow& row) { return there.contains(row_key(row.set, row.identity)); });
}

}  // namespace omnitide::enforcement
