// Shell completion: the shells' scripts ask the program, which knows the tree of commands.
#pragma once

#include <span>
#include <string>

#include "agent/cli/command.hpp"

namespace omnitide::cli {

// What may stand where the last of `words` is: lines of a word, or a word, a tab and what it is for. The lines ":files"
// and
// ":folders" stand for what the shell itself knows. `words` are those after the program's name; the last one has begun,
// and may be empty.
[[nodiscard]] std::string complete(const Command& root, std::span<const std::string> words);

[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

}  // namespace omnitide::cli
