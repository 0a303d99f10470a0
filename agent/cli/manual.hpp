// The manual page, generated from the tree of commands.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/clock.hpp"
#include "agent/cli/command.hpp"

namespace omnitide::cli {

// Text for man(7): omnitide-agent(8). `date` stands in its foot.
[[nodiscard]] std::string manual_page(const Command& root, std::string_view version, WallTime date);

}  // namespace omnitide::cli
