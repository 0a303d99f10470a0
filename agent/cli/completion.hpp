// Shell completion, generated from the tree of commands.
#pragma once

#include <string>

#include "agent/cli/command.hpp"

namespace omnitide::cli {

[[nodiscard]] std::string bash_completion(const Command& root);
[[nodiscard]] std::string zsh_completion(const Command& root);
[[nodiscard]] std::string fish_completion(const Command& root);

}  // namespace omnitide::cli
