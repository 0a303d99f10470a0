// From an earlier process to this one. The policy's maps are made anew, so that nothing that was left half-done, leaked
// or laid out differently matters; connections and what else the programs remember stay, or are copied when their map
// has another size.
#pragma once

#include <array>
#include <cstdint>
#include <set>

#include "agent/base/error.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/maps.hpp"
#include "ebpf/enforcement/pins.hpp"

namespace omnitide::enforcement {

// What the pinned maps of the same version say. Numbers in use: events and connections still name them.
struct Inheritance {
  std::uint32_t epoch = 0;
  policy::SetId set = policy::kOpen;
  policy::IdentityId identity = policy::kWorld;  // without kPodBit
  std::set<std::uint32_t> pods;                  // devices that were closed or a pod's
};
[[nodiscard]] Result<Inheritance> read_inheritance(const Shared& pinned);

// Of the pinned maps those that can be used as they are: the programs' own, of the wanted shape.
[[nodiscard]] Shared usable(Shared& pinned, const std::array<MapShape, kTables>& wanted);

// Copies connections and translations from maps of another size or version. Their epoch becomes 0, so that they are
// judged anew. Elements that are in `to` stay as they are, so that it can be done again after the switch, for what came
// meanwhile. Maps of another layout, absent ones and those that are shared are left out.
struct Copied {
  std::uint64_t connections = 0, translations = 0;
};
[[nodiscard]] Result<Copied> copy_connections(const Shared& from, const Maps& to);

}  // namespace omnitide::enforcement
