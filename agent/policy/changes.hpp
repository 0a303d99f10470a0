// What happened to the objects since the last time: what the store of objects gives and the compiler takes.
#pragma once

#include <vector>

#include "agent/policy/objects.hpp"

namespace omnitide::policy {

// Values, owned by whoever holds the struct. A key in both lists is upserted; of several objects with one key the last
// one counts. An object that did not change may be in `upserted`; a key that is not known may be in `removed`.
struct Changes {
  std::vector<Object> upserted;
  std::vector<ObjectKey> removed;
  [[nodiscard]] bool empty() const { return upserted.empty() && removed.empty(); }
};

}  // namespace omnitide::policy
