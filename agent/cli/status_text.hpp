// The status of an agent for reading.
#pragma once

#include <string>

#include "agent/base/clock.hpp"
#include "agent/cli/table.hpp"

namespace omnitide::node::v1 {
class NodeFacts;
class Status;
}  // namespace omnitide::node::v1

namespace omnitide::cli {

// `facts` may be null: then the hardware is left out.
[[nodiscard]] std::string status_text(const node::v1::Status& status, const node::v1::NodeFacts* facts, WallTime now,
                                      const Console& console);

}  // namespace omnitide::cli
