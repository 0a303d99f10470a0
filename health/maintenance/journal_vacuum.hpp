// Makes the journal smaller, by journalctl, as root.
#pragma once

#include <cstdint>

#include "agent/base/error.hpp"

namespace omnitide::health {

// Begins new journal files, so that those in use count too, and removes the oldest until so much is left. What
// journalctl says goes to this process's output. Ends within a minute, or is ended.
[[nodiscard]] Result<> vacuum_journal(std::uint32_t mebibytes);

}  // namespace omnitide::health
