#include "discovery/sources/cpu_level.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace omnitide::discovery {

namespace {

using Flags = std::span<const std::string_view>;

// psABI names on the left of each comment where /proc/cpuinfo has another: lahf_lm = LAHF-SAHF, pni = SSE3,
// cx16 = CMPXCHG16B, abm = LZCNT, xsave = OSXSAVE (the kernel clears it when it does not enable it).
constexpr std::array<std::string_view, 9> kV1{"cmov", "cx8", "fpu", "fxsr", "lm", "mmx", "sse", "sse2", "syscall"};
constexpr std::array<std::string_view, 7> kV2{"cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"};
constexpr std::array<std::string_view, 9> kV3{"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"};
constexpr std::array<std::string_view, 5> kV4{"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"};

// Features that an Arm architecture version makes mandatory and that the kernel shows as hwcaps
// (Documentation/arch/arm64/elf_hwcaps.rst).
constexpr std::array<std::string_view, 3> kArm81{"asimdrdm", "atomics", "crc32"};
constexpr std::array<std::string_view, 1> kArm82{"dcpop"};
constexpr std::array<std::string_view, 3> kArm83{"fcma", "jscvt", "lrcpc"};
constexpr std::array<std::string_view, 5> kArm84{"asimddp", "dit", "flagm", "ilrcpc", "uscat"};
constexpr std::array<std::string_view, 3> kArm85{"flagm2", "frint", "sb"};
constexpr std::array<std::string_view, 1> kArm90{"sve2"};

struct ArmRow {
  std::uint32_t implementer, part;
  std::string_view name, level;
};

constexpr std::array<ArmRow, 58> kArmParts{{
    {0x41, 0xb76, "ARM1176", "armv6"},         {0x41, 0xc05, "Cortex-A5", "armv7"},
    {0x41, 0xc07, "Cortex-A7", "armv7"},       {0x41, 0xc08, "Cortex-A8", "armv7"},
    {0x41, 0xc09, "Cortex-A9", "armv7"},       {0x41, 0xc0d, "Cortex-A17", "armv7"},
    {0x41, 0xc0e, "Cortex-A17", "armv7"},      {0x41, 0xc0f, "Cortex-A15", "armv7"},
    {0x41, 0xd01, "Cortex-A32", "armv8.0"},    {0x41, 0xd03, "Cortex-A53", "armv8.0"},
    {0x41, 0xd04, "Cortex-A35", "armv8.0"},    {0x41, 0xd05, "Cortex-A55", "armv8.2"},
    {0x41, 0xd06, "Cortex-A65", "armv8.2"},    {0x41, 0xd07, "Cortex-A57", "armv8.0"},
    {0x41, 0xd08, "Cortex-A72", "armv8.0"},    {0x41, 0xd09, "Cortex-A73", "armv8.0"},
    {0x41, 0xd0a, "Cortex-A75", "armv8.2"},    {0x41, 0xd0b, "Cortex-A76", "armv8.2"},
    {0x41, 0xd0c, "Neoverse-N1", "armv8.2"},   {0x41, 0xd0d, "Cortex-A77", "armv8.2"},
    {0x41, 0xd0e, "Cortex-A76AE", "armv8.2"},  {0x41, 0xd40, "Neoverse-V1", "armv8.4"},
    {0x41, 0xd41, "Cortex-A78", "armv8.2"},    {0x41, 0xd42, "Cortex-A78AE", "armv8.2"},
    {0x41, 0xd44, "Cortex-X1", "armv8.2"},     {0x41, 0xd46, "Cortex-A510", "armv9.0"},
    {0x41, 0xd47, "Cortex-A710", "armv9.0"},   {0x41, 0xd48, "Cortex-X2", "armv9.0"},
    {0x41, 0xd49, "Neoverse-N2", "armv9.0"},   {0x41, 0xd4a, "Neoverse-E1", "armv8.2"},
    {0x41, 0xd4b, "Cortex-A78C", "armv8.2"},   {0x41, 0xd4c, "Cortex-X1C", "armv8.2"},
    {0x41, 0xd4d, "Cortex-A715", "armv9.0"},   {0x41, 0xd4e, "Cortex-X3", "armv9.0"},
    {0x41, 0xd4f, "Neoverse-V2", "armv9.0"},   {0x41, 0xd80, "Cortex-A520", "armv9.2"},
    {0x41, 0xd81, "Cortex-A720", "armv9.2"},   {0x41, 0xd82, "Cortex-X4", "armv9.2"},
    {0x41, 0xd83, "Neoverse-V3AE", "armv9.2"}, {0x41, 0xd84, "Neoverse-V3", "armv9.2"},
    {0x41, 0xd85, "Cortex-X925", "armv9.2"},   {0x41, 0xd87, "Cortex-A725", "armv9.2"},
    {0x41, 0xd8e, "Neoverse-N3", "armv9.2"},   {0x42, 0x516, "ThunderX2", "armv8.1"},
    {0x43, 0x0a1, "ThunderX", "armv8.0"},      {0x43, 0x0af, "ThunderX2", "armv8.1"},
    {0x46, 0x001, "A64FX", "armv8.2"},         {0x48, 0xd01, "TaiShan-v110", "armv8.2"},
    {0x4e, 0x003, "Denver 2", "armv8.0"},      {0x4e, 0x004, "Carmel", "armv8.2"},
    {0x51, 0x800, "Kryo-2xx-Gold", "armv8.0"}, {0x51, 0x801, "Kryo-2xx-Silver", "armv8.0"},
    {0x51, 0x804, "Kryo-4xx-Gold", "armv8.2"}, {0x51, 0x805, "Kryo-4xx-Silver", "armv8.2"},
    {0x61, 0x022, "Icestorm-M1", "armv8.4"},   {0x61, 0x023, "Firestorm-M1", "armv8.4"},
    {0xc0, 0xac3, "Ampere-1", "armv8.6"},      {0xc0, 0xac4, "Ampere-1a", "armv8.6"},
}};

constexpr std::array<std::pair<std::uint32_t, std::string_view>, 15> kArmVendors{{
    {0x41, "ARM"},
    {0x42, "Broadcom"},
    {0x43, "Cavium"},
    {0x44, "DEC"},
    {0x46, "FUJITSU"},
    {0x48, "HiSilicon"},
    {0x4e, "NVIDIA"},
    {0x50, "APM"},
    {0x51, "Qualcomm"},
    {0x53, "Samsung"},
    {0x56, "Marvell"},
    {0x61, "Apple"},
    {0x69, "Intel"},
    {0x70, "Phytium"},
    {0xc0, "Ampere"},
}};

const ArmRow* find_part(const ArmPart& part) {
  const auto* const row = std::find_if(kArmParts.begin(), kArmParts.end(), [part](const ArmRow& candidate) {
    return candidate.implementer == part.implementer && candidate.part == part.part;
  });
  return row == kArmParts.end() ? nullptr : row;
}

bool has_all(const Cpuinfo& info, Flags flags) {
  return std::all_of(flags.begin(), flags.end(), [&info](std::string_view flag) { return info.has_flag(flag); });
}

std::string_view x86_level(const Cpuinfo& info) {
  if (!has_all(info, kV1)) return "";
  if (!has_all(info, kV2)) return "x86-64-v1";
  if (!has_all(info, kV3)) return "x86-64-v2";
  return has_all(info, kV4) ? "x86-64-v4" : "x86-64-v3";
}

// The kernel shows on every CPU only what all of them have, so one set of flags speaks for the machine.
std::string_view arm64_level_by_features(const Cpuinfo& info) {
  if (!info.has_flag("asimd")) return "";
  if (!has_all(info, kArm81)) return "armv8.0";
  if (!has_all(info, kArm82)) return "armv8.1";
  if (!has_all(info, kArm83)) return "armv8.2";
  if (!has_all(info, kArm84)) return "armv8.3";
  if (!has_all(info, kArm85)) return "armv8.4";
  return has_all(info, kArm90) ? "armv9.0" : "armv8.5";
}

// Known parts by their table, the lowest of them; as soon as one part is unknown, by features.
std::string_view arm_level(const Cpuinfo& info, bool is_64_bit) {
  std::string_view lowest;
  for (const ArmPart& part : info.arm_parts) {
    const ArmRow* row = find_part(part);
    if (row == nullptr) return is_64_bit ? arm64_level_by_features(info) : "";
    if (lowest.empty() || row->level < lowest) lowest = row->level;
  }
  return lowest.empty() && is_64_bit ? arm64_level_by_features(info) : lowest;
}

}  // namespace

std::string microarch_level(const Cpuinfo& info, std::string_view architecture) {
  if (architecture == "x86_64") return std::string(x86_level(info));
  if (architecture == "aarch64") return std::string(arm_level(info, true));
  if (architecture.starts_with("arm")) {
    const std::string_view level = arm_level(info, false);
    return level.empty() && info.family == "7" ? "armv7" : std::string(level);
  }
  return {};
}

std::string arm_vendor(std::uint32_t implementer) {
  const auto* const row = std::find_if(kArmVendors.begin(), kArmVendors.end(),
                                       [implementer](const auto& v) { return v.first == implementer; });
  return row == kArmVendors.end() ? fmt::format("{:#04x}", implementer) : std::string(row->second);
}

std::string_view arm_model(const ArmPart& part) {
  const ArmRow* row = find_part(part);
  return row == nullptr ? std::string_view{} : row->name;
}

}  // namespace omnitide::discovery
