// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where there is one.
#pragma once

#include <cstdint>
#include <string_view>

namespace omnitide::telemetry {

// Of what `seed` is the checksum of, followed by `bytes`; 0 for nothing before.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t seed, std::string_view bytes);
// The same without the instruction.
[[nodiscard]] std::uint32_t crc32c_portable(std::uint32_t seed, std::string_view bytes);
[[nodiscard]] bool crc32c_by_hardware();

}  // namespace omnitide::telemetry
