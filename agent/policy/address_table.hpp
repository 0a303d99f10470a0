// Which identity each address and each prefix of a policy has: who claims an address, and the blocks around it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "agent/policy/peer_index.hpp"

namespace omnitide::policy {

// Of an address that several claim, the first by this order has it: nodes before pods, then by name.
struct Claimant {
  ObjectKey who;
  Profile* profile = nullptr;
};

class AddressTable {
 public:
  explicit AddressTable(PeerIndex& peers);

  void claim(const Address& address, const ObjectKey& who, Profile& profile);
  void drop(const Address& address, const ObjectKey& who);
  // Who claims an address whose claims have changed since the last call.
  [[nodiscard]] std::set<ObjectKey> take_contenders();
  // Brings the locations up to date with the claims and with the blocks in use. Returns who claims an address that was
  // looked at.
  [[nodiscard]] std::set<ObjectKey> settle();

  [[nodiscard]] const ObjectKey* holder(const Address& address) const;  // null when nobody claims it
  [[nodiscard]] const IdentityRecord* at(const Prefix& where) const;    // null when it is no location
  [[nodiscard]] const std::map<Address, std::vector<Claimant>>& claims() const { return claims_; }
  [[nodiscard]] const std::set<Address>& contested() const { return contested_; }
  [[nodiscard]] std::size_t regions() const { return regions_.size(); }

  void write_all(PlanUpdate& update) const;
  // What is different since the last call of forget_changes().
  void write_changes(PlanUpdate& update) const;
  void forget_changes() { before_.clear(); }
  void forget_undone_changes();  // those after which all is as before

 private:
  void look_at(const Prefix& cidr);
  void place(const Prefix& where);
  void count_region(const Prefix& prefix, bool used);

  PeerIndex& peers_;
  std::map<Address, std::vector<Claimant>> claims_;
  std::set<Address> contested_;
  std::map<Prefix, std::uint32_t> regions_;  // cidr and except prefixes of active blocks, and both roots: uses
  std::map<Prefix, IdentityRecord*> located_;
  std::map<Prefix, IdentityRecord*> before_;  // what changed locations were; null: none
  std::set<Prefix> unsettled_;
  std::set<Address> changed_claims_;
};

}  // namespace omnitide::policy
