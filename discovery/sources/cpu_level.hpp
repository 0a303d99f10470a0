// From what a CPU says to the level of instruction set that software is built for, and Arm's names for its numbers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "discovery/sources/cpuinfo.hpp"

namespace omnitide::discovery {

// "x86-64-v1".."x86-64-v4" by the table of the x86-64 psABI (section "Micro-Architecture Levels"), "armv8.0".. for
// aarch64 (the lowest of the core types present), "armv7" for 32-bit Arm; empty when it is not known.
[[nodiscard]] std::string microarch_level(const Cpuinfo& info, std::string_view architecture);

// Names as the Technical Reference Manuals give them; the number in hexadecimal for an unknown implementer, empty for
// an unknown part.
[[nodiscard]] std::string arm_vendor(std::uint32_t implementer);
[[nodiscard]] std::string_view arm_model(const ArmPart& part);

}  // namespace omnitide::discovery
