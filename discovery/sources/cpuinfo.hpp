// /proc/cpuinfo, parsed: what the kernel's arch/*/kernel/cpu code prints on x86, arm64, arm, riscv64 and ppc64le.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace omnitide::discovery {

struct ArmPart {
  std::uint32_t implementer = 0, part = 0;  // MIDR_EL1 fields
  bool operator==(const ArmPart&) const = default;
};

struct Cpuinfo {
  std::string vendor, model, family, model_id, stepping, microcode;  // of the first CPU
  std::vector<std::string> flags;                                    // of the first CPU, sorted, without duplicates
  std::vector<ArmPart> arm_parts;                                    // distinct, in the order of appearance
  std::uint32_t processors = 0;                                      // blocks with a "processor" line
  std::uint32_t sockets = 0, cores = 0;                 // distinct ids, where the kernel prints them, else 0
  std::vector<std::pair<std::uint32_t, double>> hertz;  // CPU number and its current frequency, where printed
  [[nodiscard]] bool has_flag(std::string_view flag) const;
};

// Any bytes are safe. `truncated`: the text ends anywhere, so its last block is ignored.
[[nodiscard]] Cpuinfo parse_cpuinfo(std::string_view text, bool truncated = false);

// uname's machine, guessed from the form of /proc/cpuinfo; empty when it is not known.
[[nodiscard]] std::string architecture_of(const Cpuinfo& info);

}  // namespace omnitide::discovery
