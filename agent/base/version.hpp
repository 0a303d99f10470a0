#pragma once

#include <string_view>

namespace omnitide {

[[nodiscard]] std::string_view version();  // "0.1.0"
[[nodiscard]] std::string_view commit();   // abbreviated commit id, or empty outside a checkout

}  // namespace omnitide
