// What is valid, and yet hardly meant: hints over all objects together.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "agent/policy/parse.hpp"
#include "agent/policy/store.hpp"

namespace omnitide::policy {

inline constexpr std::size_t kMostHints = 1000;

// Remarks with `applied` set, at most kMostHints and one that counts the rest. What a parser remarks about one object
// alone is not repeated here. `objects` are those of a store: sorted by key, each key once.
[[nodiscard]] std::vector<Fault> lint(std::span<const ObjectRef> objects);

}  // namespace omnitide::policy
