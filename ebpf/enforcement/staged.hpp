// Everything that one publication writes, encoded before the first write: what can fail in user space fails there.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "agent/base/address.hpp"
#include "ebpf/abi/policy.h"
#include "ebpf/enforcement/encode.hpp"
#include "ebpf/enforcement/locations.hpp"

namespace omnitide::enforcement {

struct LocationRows {
  Rows<policy_address, policy_location> addresses;
  Rows<policy_prefix, policy_location> prefixes;
  std::vector<policy_location> addresses_before, prefixes_before;
  void add(const LocationWrite& write);
};

struct Staged {
  std::uint32_t epoch = 0;
  SetRows rows;
  LocationStep step;
  LocationRows fresh_locations, changed_locations;
  Rows<policy_prefix, std::uint32_t> deny;
  std::vector<policy_prefix> undenied;
  Rows<std::uint32_t, policy_endpoint> fresh_endpoints, changed_endpoints;
  std::vector<policy_endpoint> endpoints_before;
  std::set<std::uint32_t> retired;  // endpoints that are only there until retire()
  [[nodiscard]] bool empty() const;
};

// The same but for what the publisher fills in.
[[nodiscard]] bool same_element(const policy_endpoint& left, const policy_endpoint& right);

}  // namespace omnitide::enforcement
