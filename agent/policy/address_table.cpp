#include "agent/policy/address_table.hpp"

#include <algorithm>
#include <tuple>

namespace omnitide::policy {

namespace {

constexpr std::uint8_t kHostBits = 128;

bool comes_before(const ObjectKey& left, const ObjectKey& right) {
  const auto rank = [](const ObjectKey& key) { return key.kind == ObjectKey::Kind::node ? 0 : 1; };
  return std::tuple(rank(left), left) < std::tuple(rank(right), right);
}

void forget(Profile& profile, const Address& address) {
  const auto found = std::ranges::find(profile.addresses, address);
  if (found == profile.addresses.end()) return;
  *found = profile.addresses.back();
  profile.addresses.pop_back();
}

// The widest of the prefixes: those that lie in no other one.
std::vector<Prefix> widest(std::vector<Prefix> prefixes) {
  std::ranges::sort(prefixes);
  std::vector<Prefix> out, open;  // `open`: those around the place where the scan is
  for (const Prefix& prefix : prefixes) {
    while (!open.empty() && make_prefix(prefix.address, open.back().length).address != open.back().address)
      open.pop_back();
    const bool inside = std::ranges::any_of(open, [&prefix](const Prefix& outer) { return outer.contains(prefix); });
    if (inside) continue;
    out.push_back(prefix);
    open.push_back(prefix);
  }
  return out;
}

}  // namespace

AddressTable::AddressTable(PeerIndex& peers) : peers_(peers) {
  count_region(Prefix{}, true);
  count_region(all_v4(), true);
  (void)settle();
}

void AddressTable::claim(const Address& address, const ObjectKey& who, Profile& profile) {
  std::vector<Claimant>& all = claims_[address];
  const auto at = std::ranges::lower_bound(all, who, comes_before, &Claimant::who);
  if (at != all.end() && at->who == who) {
    forget(*at->profile, address);
    at->profile = &profile;
  } else {
    all.insert(at, {.who = who, .profile = &profile});
  }
  profile.addresses.push_back(address);
  if (all.size() > 1) contested_.insert(address);
  unsettled_.insert(host_prefix(address));
  changed_claims_.insert(address);
}

void AddressTable::drop(const Address& address, const ObjectKey& who) {
  const auto found = claims_.find(address);
  if (found == claims_.end()) return;
  std::erase_if(found->second, [&](const Claimant& claimant) {
    if (claimant.who != who) return false;
    forget(*claimant.profile, address);
    return true;
  });
  if (found->second.size() < 2) contested_.erase(address);
  if (found->second.empty()) claims_.erase(found);
  unsettled_.insert(host_prefix(address));
  changed_claims_.insert(address);
}

void AddressTable::count_region(const Prefix& prefix, bool used) {
  std::uint32_t& uses = regions_[prefix];
  uses += used ? 1U : ~0U;
  if (uses == 0) regions_.erase(prefix);
  unsettled_.insert(prefix);
}

// All regions and claimed addresses inside are to be placed anew.
void AddressTable::look_at(const Prefix& cidr) {
  const auto within = [&cidr](const Address& address) {
    return make_prefix(address, cidr.length).address == cidr.address;
  };
  for (auto at = regions_.lower_bound(cidr); at != regions_.end() && within(at->first.address); ++at) {
    if (cidr.contains(at->first)) unsettled_.insert(at->first);
  }
  for (auto at = claims_.lower_bound(cidr.address); at != claims_.end() && within(at->first); ++at) {
    if (cidr.contains(at->first)) unsettled_.insert(host_prefix(at->first));
  }
}

void AddressTable::place(const Prefix& where) {
  Profile* profile = nullptr;
  const auto claimed = where.length == kHostBits ? claims_.find(where.address) : claims_.end();
  if (claimed != claims_.end()) {
    profile = claimed->second.front().profile;
  } else if (regions_.contains(where)) {
    profile = &peers_.nobody();
  }
  IdentityRecord* identity = profile == nullptr ? nullptr : peers_.hold_identity(*profile, where);
  const auto found = located_.find(where);
  IdentityRecord* old = found == located_.end() ? nullptr : found->second;
  if (identity != old) before_.try_emplace(where, old);
  if (old != nullptr) peers_.release(*old);
  if (identity == nullptr) {
    if (found != located_.end()) located_.erase(found);
  } else {
    located_.insert_or_assign(where, identity);
  }
}

std::set<ObjectKey> AddressTable::take_contenders() {
  std::set<ObjectKey> out;
  for (const Address& address : std::exchange(changed_claims_, {})) {
    const auto found = claims_.find(address);
    if (found == claims_.end()) continue;
    for (const Claimant& claimant : found->second)
      out.insert(claimant.who);
  }
  return out;
}

std::set<ObjectKey> AddressTable::settle() {
  std::vector<Prefix> changed;
  for (const BlockRecord* block : peers_.take_changed_blocks()) {
    changed.push_back(block->key->cidr);
    count_region(block->key->cidr, block->active);
    for (const Prefix& except : block->key->except)
      count_region(except, block->active);
  }
  for (const Prefix& cidr : widest(std::move(changed)))
    look_at(cidr);
  for (const Profile* profile : peers_.take_changed_profiles()) {
    for (const Address& address : profile->addresses)
      unsettled_.insert(host_prefix(address));
  }
  std::set<ObjectKey> out;
  for (const Prefix& where : std::exchange(unsettled_, {})) {
    place(where);
    const auto claimed = where.length == kHostBits ? claims_.find(where.address) : claims_.end();
    if (claimed == claims_.end()) continue;
    for (const Claimant& claimant : claimed->second)
      out.insert(claimant.who);
  }
  return out;
}

const ObjectKey* AddressTable::holder(const Address& address) const {
  const auto found = claims_.find(address);
  return found == claims_.end() ? nullptr : &found->second.front().who;
}

const IdentityRecord* AddressTable::at(const Prefix& where) const {
  const auto found = located_.find(where);
  return found == located_.end() ? nullptr : found->second;
}

void AddressTable::write_all(PlanUpdate& update) const {
  for (const auto& [where, identity] : located_)
    update.locations.push_back({.prefix = where, .identity = identity->id});
}

void AddressTable::write_changes(PlanUpdate& update) const {
  for (const auto& [where, old] : before_) {
    const IdentityRecord* now = at(where);
    if (now == old) continue;
    if (now == nullptr) {
      update.gone_locations.push_back(where);
    } else {
      update.locations.push_back({.prefix = where, .identity = now->id});
    }
  }
}

void AddressTable::forget_undone_changes() {
  std::erase_if(before_, [this](const auto& entry) { return at(entry.first) == entry.second; });
}

}  // namespace omnitide::policy
