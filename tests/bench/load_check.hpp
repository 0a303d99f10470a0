// What the registry holds at the end, by the operator's API, against what it acknowledged.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "tests/bench/load_node.hpp"

namespace omnitide::bench {

struct Comparison {
  std::uint64_t listed = 0;       // nodes that the registry lists
  std::uint64_t missing = 0;      // acknowledged and not listed as approved
  std::uint64_t stale = 0;        // listed with an older generation than acknowledged, or one never sent
  std::uint64_t wrong_facts = 0;  // with the digest of other facts than those of the acknowledged generation
  std::uint64_t shown = 0;        // of these the stored facts were read back
  [[nodiscard]] bool good() const { return missing == 0 && stale == 0 && wrong_facts == 0; }
};

// `folder` is the registry's, for the operator's certificate. Pages through all nodes; shows every hundredth.
[[nodiscard]] Result<Comparison> compare(const std::string& folder, std::uint16_t port, const std::deque<Node>& nodes,
                                         const Contract& contract);

}  // namespace omnitide::bench
