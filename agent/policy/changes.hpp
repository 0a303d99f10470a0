// What happened to the objects since the last time: what the store gives and the compiler takes.
#pragma once

#include <memory>
#include <vector>

#include "agent/policy/objects.hpp"

namespace omnitide::policy {

using ObjectRef = std::shared_ptr<const Object>;

// No key is in two of the lists.
struct Changes {
  std::vector<ObjectRef> upserts;    // new objects, and those whose content is another
  std::vector<ObjectKey> removals;   // held before, and no source says them now
  std::vector<ObjectRef> relocated;  // the same content from another file or line: only messages change
  [[nodiscard]] bool empty() const { return upserts.empty() && removals.empty() && relocated.empty(); }
};

}  // namespace omnitide::policy
