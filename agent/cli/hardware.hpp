// A node's facts for reading: a few lines, and tables of what there are several of.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/table.hpp"
#include "agent/model/node_facts.hpp"
#include "agent/model/sample.hpp"

namespace omnitide::cli {

// "System", "CPU", "Memory", "Storage", "Network": one line each.
[[nodiscard]] Table hardware_summary(const model::NodeFacts& facts);
// Disks, filesystems, interfaces, devices. Each table stops after a screenful and says how many more there are.
[[nodiscard]] std::string hardware_tables(const model::NodeFacts& facts, const std::vector<model::Sample>& samples,
                                          const Console& console);

}  // namespace omnitide::cli
