// Randomness from the kernel (getrandom), never from std::random_device: that would bind to a newer glibc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace omnitide {

[[nodiscard]] std::string random_bytes(std::size_t count);  // throws std::system_error when the kernel has none
[[nodiscard]] std::uint64_t random_u64();

}  // namespace omnitide
