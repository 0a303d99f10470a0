// Patterns with * (any bytes, also none) and ? (one byte) that stand for a whole text.
#pragma once

#include <string_view>

namespace omnitide {

// Takes at most the product of both lengths.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace omnitide
