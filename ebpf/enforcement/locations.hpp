// Which identity each address has, and had before: what the maps `addresses` and `prefixes` hold, as a plain value.
//
// An element says {identity, previous, epoch}: an endpoint below `epoch` sees `previous`. That is room for two states,
// so an element may change once between two grace periods; a second change has to wait until the first is settled.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/abi/policy.h"

namespace omnitide::enforcement {

struct LocationWrite {
  Prefix prefix;
  policy_location value;
  policy_location before;  // when it was there
  bool fresh = false;      // was not there
};

// What one publication writes, and what its addresses are called after it.
struct LocationStep {
  std::vector<LocationWrite> writes;
  std::vector<policy::Location> set;
  std::vector<Prefix> gone;
};

class Locations {
 public:
  // Begins with ::/0 and 0.0.0.0/0 as kWorld, which never leave: their element is always written.
  Locations();

  // The writes that lead to a state with these changes, for endpoints from `epoch` on. Changes nothing. nullopt: an
  // element would need a third state; settle first.
  [[nodiscard]] std::optional<LocationStep> stage(std::span<const policy::Location> set, std::span<const Prefix> gone,
                                                  std::uint32_t epoch) const;
  void commit(const LocationStep& step);

  // The writes that let every element say its identity only, and the elements that nobody needs. To be done when no
  // packet is judged by an endpoint of before the last commit.
  struct Rest {
    std::vector<LocationWrite> writes;
    std::vector<Prefix> gone;
  };
  [[nodiscard]] Rest rest() const;
  void settled();
  [[nodiscard]] bool unsettled() const { return !pending_.empty(); }

  // The elements of the two maps that this step's writes would add.
  [[nodiscard]] std::size_t addresses() const { return addresses_; }
  [[nodiscard]] std::size_t prefixes() const { return table_.size() - addresses_; }
  // All that have an identity of their own.
  [[nodiscard]] std::vector<Prefix> named() const;
  [[nodiscard]] static std::vector<LocationWrite> first();  // the elements that are always there

 private:
  struct Entry {
    policy::IdentityId identity = 0;  // 0: gone, the element stays until settled
    policy_location element{};
    bool pending = false;
  };
  struct Hash {
    std::size_t operator()(const Prefix& prefix) const;
  };
  using Table = std::unordered_map<Prefix, Entry, Hash>;
  // The state to come, where it differs: 0 is gone.
  using Overlay = std::unordered_map<Prefix, policy::IdentityId, Hash>;
  using Lengths = std::array<std::uint32_t, 129>;

  [[nodiscard]] policy::IdentityId longest(const Prefix& of, const Overlay* overlay, const Lengths& lengths) const;
  [[nodiscard]] const Entry* element_over(const Prefix& of) const;
  [[nodiscard]] bool stage_one(const Prefix& prefix, policy::IdentityId identity, std::uint32_t epoch,
                               LocationStep& step) const;
  [[nodiscard]] bool shadows_hold(const Overlay& overlay, const Lengths& lengths) const;

  Table table_;
  Lengths lengths_{};  // how many elements have each length
  std::size_t addresses_ = 0;
  std::vector<Prefix> pending_;
};

}  // namespace omnitide::enforcement
