// Where a rule of the plan comes from, for people: PlanRule.origin is the index of one of these.
#pragma once

#include <cstdint>
#include <string>

#include "agent/policy/objects.hpp"

namespace omnitide::policy {

enum class Direction : std::uint8_t { ingress, egress };

struct RuleOrigin {
  ObjectKey policy;
  Origin where;  // the rule's own line
  Direction direction = Direction::ingress;
  Action action = Action::accept;  // what it does; not as written when `fails_closed`
  std::uint32_t index = 0;         // in spec.ingress or spec.egress
  std::string name;                // of ClusterNetworkPolicy
  bool fail_safe = false;          // of HostPolicy: spec.failSafe, and `index` says nothing
  bool fails_closed = false;       // has a peer that this version cannot judge, and denies everything therefore
};

[[nodiscard]] constexpr const char* word(Direction direction) {
  return direction == Direction::ingress ? "ingress" : "egress";
}

}  // namespace omnitide::policy
