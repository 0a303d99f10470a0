// The agent's last lines in systemd's journal. libsystemd is opened only here, and only when it is there: loading it
// would cost every other command time.
#pragma once

#include <cstddef>
#include <string>

#include "agent/base/error.hpp"

namespace omnitide::cli {

// Newest last, "TIME LEVEL PART MESSAGE" a line. unavailable when there is no library or no journal.
[[nodiscard]] Result<std::string> read_journal(std::size_t most_lines, std::size_t most_bytes);

}  // namespace omnitide::cli
