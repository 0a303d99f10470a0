// What a partial report leaves out, filled from an earlier one.
#pragma once

#include <set>
#include <string>

#include "agent/model/node_facts.hpp"

namespace omnitide::discovery {

// Items of lists are known by a name: the list's path and the item's key, "storage.devices/sda".
using ItemNames = std::set<std::string>;

// Empty fields of `later` get their value from `earlier`, items that `later` lacks are put in at the place they had,
// unless `gone` names them. A truth value stays true: false is also what a reader leaves that could not read.
void fill(model::NodeFacts& later, const model::NodeFacts& earlier, const ItemNames& gone = {});

// Every item of every list that has keys.
[[nodiscard]] ItemNames item_names(const model::NodeFacts& facts);

}  // namespace omnitide::discovery
