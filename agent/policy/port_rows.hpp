// The ports of a set's rules as the rows that plan.hpp describes.
#pragma once

#include <vector>

#include "agent/policy/objects.hpp"
#include "agent/policy/plan.hpp"

namespace omnitide::policy {

struct RulePorts {
  bool everything = false;  // every protocol; then `ports` says nothing
  std::vector<PortMatch> ports;
};

// Bit i is rules[i]. A row that says no more than the next shorter one is left out. At most 30 prefixes a range.
[[nodiscard]] std::vector<PortRow> port_rows(const std::vector<RulePorts>& rules);

// All of `more` into `bits`, both ascending.
void merge(Bits& bits, const Bits& more);

}  // namespace omnitide::policy
