// Which connections two sets of objects judge differently.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/policy/examiner.hpp"
#include "agent/policy/probes.hpp"

namespace omnitide::policy {

// Ends that both sets judge alike are told together.
struct Difference {
  std::vector<std::string> from, to;  // names of ends
  PortProbe port;                     // the whole range that changes in the same way
  bool v4 = true;
  bool before = false, after = false;  // allowed
};

struct Comparison {
  std::vector<Difference> differences;          // by ends, then port
  std::vector<std::string> only_old, only_new;  // pods that one of the two does not have
};

// All pods that both have, and what lies outside, each against each, over all ports.
// resource_exhausted when they tell so much apart that the answer would take minutes.
[[nodiscard]] Result<Comparison> compare(Examiner& before, Examiner& after);

}  // namespace omnitide::policy
