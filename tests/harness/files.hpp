// Attributes of one folder of a TempTree.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/harness/fixture.hpp"

namespace omnitide::test {

using Files = std::vector<std::pair<std::string_view, std::string_view>>;

// Attributes of one folder, each a line.
inline void put(TempTree& tree, const std::string& folder, const Files& files) {
  for (const auto& [name, text] : files)
    tree.file(folder + "/" + std::string(name), std::string(text) + "\n");
}

}  // namespace omnitide::test
