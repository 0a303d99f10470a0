// Keys of the collectors: which are asked, and their flags under node_exporter's names. Made from the lists of
// agent/model/collector_settings.hpp. Inside of the room.
#pragma once

#include <vector>

#include "agent/config/schema.hpp"

namespace omnitide::config {

[[nodiscard]] const std::vector<Key>& collector_keys();

}  // namespace omnitide::config
