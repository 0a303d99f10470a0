// Takes secrets out of text before it leaves the machine.
#pragma once

#include <string>
#include <string_view>

namespace omnitide::cli {

// Join tokens (omt1...), what follows "Bearer" and "Basic", PEM private keys, and values of names that say password,
// secret or token become "[removed]". Paths to files that hold such things stay.
[[nodiscard]] std::string redact(std::string_view text);

}  // namespace omnitide::cli
