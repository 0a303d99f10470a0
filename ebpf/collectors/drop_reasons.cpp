#include "ebpf/collectors/drop_reasons.hpp"

#include <fmt/format.h>

#include <string_view>

namespace omnitide::collectors {

namespace {

constexpr unsigned kSubsystemShift = 16;  // SKB_DROP_REASON_SUBSYS_SHIFT

std::string_view without(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

std::string DropReasons::name(std::uint32_t reason) const {
  const std::uint32_t subsystem = reason >> kSubsystemShift;
  if (subsystem == 0) {
    const auto found = reasons_.find(reason);
    if (found == reasons_.end()) return fmt::format("{}", reason);
    return std::string(without(without(found->second, "SKB_DROP_REASON_"), "SKB_"));
  }
  const std::uint32_t own = reason & ((1U << kSubsystemShift) - 1);
  const auto found = subsystems_.find(subsystem);
  if (found == subsystems_.end()) return fmt::format("{}_{}", subsystem, own);
  return fmt::format("{}_{}", without(found->second, "SKB_DROP_REASON_SUBSYS_"), own);
}

}  // namespace omnitide::collectors
