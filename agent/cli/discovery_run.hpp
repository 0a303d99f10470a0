// The inventory as the message of local.proto.
#pragma once

#include "discovery/inventory/inventory.hpp"

namespace omnitide::node::v1 {
class Discovery;
}

namespace omnitide::cli {

void fill(discovery::Inventory& inventory, node::v1::Discovery& out);

}  // namespace omnitide::cli
