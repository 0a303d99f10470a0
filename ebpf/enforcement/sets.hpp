// Which rows of which rule sets are in the kernel, and which of them are garbage. What a row holds is not kept: it is
// read back from the kernel when it is removed.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/policy/plan.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/encode.hpp"

namespace omnitide::enforcement {

// The keys of what can be removed.
struct Removal {
  std::vector<policy_rule_key> rules;
  std::vector<policy_port_key> ports;
  std::vector<policy_port_range_key> ranges;
  std::vector<policy_peer_key> peers;
};

class Sets {
 public:
  [[nodiscard]] bool contains(policy::SetId set) const { return set == policy::kOpen || live_.contains(set); }
  [[nodiscard]] std::uint32_t flags(policy::SetId set) const;

  // Whether the update adds a set or row whose number is still garbage: settle first.
  [[nodiscard]] bool collides(const policy::PlanUpdate& update) const;
  // After a publication: new sets and rows are there, gone ones are garbage.
  void commit(const policy::PlanUpdate& update);

  [[nodiscard]] bool unsettled() const { return !dead_.empty() || !dead_rows_.empty(); }
  [[nodiscard]] Removal removal() const;
  void settled();

  // Of a whole plan the sets and rows that are not there yet, and what is there but not in the plan as gone.
  void subtract(policy::PlanUpdate& whole) const;

 private:
  struct Record {
    std::uint32_t flags = 0, rules = 0;
    std::vector<PortKey> ports;
    std::vector<policy::IdentityId> rows;
  };
  using Keys = std::unordered_set<std::uint64_t>;  // of rows: set << 32 | identity

  std::unordered_map<policy::SetId, Record> live_, dead_;
  Keys dead_rows_;
};

}  // namespace omnitide::enforcement
