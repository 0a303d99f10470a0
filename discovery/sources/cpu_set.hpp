// Sets of CPUs in the kernel's list form, "0-3,8,10-11" (Documentation/admin-guide/kernel-parameters, "cpu lists").
#pragma once

#include <bitset>
#include <cstddef>
#include <optional>
#include <string_view>

namespace omnitide::discovery {

inline constexpr std::size_t kMaxCpus = 8192;  // the kernel's largest CONFIG_NR_CPUS
using CpuSet = std::bitset<kMaxCpus>;

// Empty text is the empty set. nullopt for anything else than ascending ranges of numbers below kMaxCpus.
[[nodiscard]] std::optional<CpuSet> parse_cpu_list(std::string_view text);

}  // namespace omnitide::discovery
