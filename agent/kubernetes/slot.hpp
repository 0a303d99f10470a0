// Slots of a fleet's allowance: Leases (coordination.k8s.io/v1), each of which one node holds at a time. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/base/error.hpp"

namespace omnitide::kubernetes {

inline constexpr std::string_view kSlotPrefix = "omnitide-slot-";
inline constexpr std::chrono::seconds kSlotTime{900};  // leaseDurationSeconds

struct Slot {
  std::string name, holder;      // holder: a node; empty: free
  std::string resource_version;  // empty: there is no such Lease yet
  std::string renewed;           // renewTime, as the server has it
  std::chrono::seconds lasts{kSlotTime};
};

[[nodiscard]] std::string slot_name(std::uint32_t index);

// Of the Lease's JSON.
[[nodiscard]] Result<Slot> slot_of(std::string_view json);

// The Lease with this holder (empty: given back) from now on, in place of the version that `slot` was read from.
[[nodiscard]] std::string slot_body(const Slot& slot, std::string_view space, std::string_view holder, WallTime now);

// Which slots have run out, without trust in any other node's clock (as client-go's leader election does it): one that
// was not renewed while it was looked at here for as long as it lasts.
class SlotWatch {
 public:
  // Looks at the slot as it is now.
  [[nodiscard]] bool expired(const Slot& slot, SteadyTime now);

 private:
  struct Seen {
    std::string holder, renewed;
    SteadyTime since{};
  };
  std::map<std::string, Seen> seen_;
};

}  // namespace omnitide::kubernetes
