// A Node that takes no new work, and by whom: our taint, and `kubectl cordon`'s flag with a label that says that it is
// ours. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::kubernetes {

inline constexpr std::string_view kTaintKey = "omnitide.io/unhealthy", kCordonLabel = "omnitide.io/cordoned";

struct CordonMarks {
  std::string resource_version;
  bool unschedulable = false, ours = false, tainted = false;  // ours: the label is there; tainted: by us
  std::vector<std::string> other_taints;                      // JSON, as the server has them
  [[nodiscard]] bool any() const { return ours || tainted; }
};

// Of the Node's JSON.
[[nodiscard]] Result<CordonMarks> cordon_marks(std::string_view node);

// JSON merge patches of the Node for the version that was read: the server refuses them (409) when it is another by
// now. A Node that somebody else has cordoned gets the taint alone, and keeps its cordon afterwards.
[[nodiscard]] std::string cordon_patch(const CordonMarks& marks, std::string_view condition);
[[nodiscard]] std::string uncordon_patch(const CordonMarks& marks);

}  // namespace omnitide::kubernetes
