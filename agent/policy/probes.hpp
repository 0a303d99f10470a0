// The ports that are worth asking about: one for each range that rules tell apart, and one for all the others.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "agent/policy/changes.hpp"

namespace omnitide::policy {

// All ports from `first` to `last` are judged alike; 0 and 0: of ICMP, which has none.
struct PortProbe {
  Protocol protocol = Protocol::tcp;
  std::uint16_t first = 0, last = 0;
  bool other = false;  // no rule names it: stands for every port of the protocol that no rule names
  auto operator<=>(const PortProbe&) const = default;
};

// "TCP 80", "TCP 8000-8100", "UDP every port", "SCTP every other", "ICMP".
[[nodiscard]] std::string describe(const PortProbe& probe);

// For TCP, UDP and SCTP, in the order of their ports, then ICMP.
[[nodiscard]] std::vector<PortProbe> port_probes(std::span<const ObjectRef> objects);

}  // namespace omnitide::policy
