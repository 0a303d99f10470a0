// Who a node is and which run of it speaks.
#pragma once

#include <string>

namespace omnitide::model {

// node_id is derived from the public key; boot_id is the kernel's; start_id is random for each start of the agent.
struct Incarnation {
  std::string node_id, boot_id, start_id;
  bool operator==(const Incarnation&) const = default;
};

}  // namespace omnitide::model
