#include "ebpf/loader/capabilities.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace omnitide::ebpf {

namespace {

constexpr bool has(std::uint64_t held, int capability) {
  return ((held >> static_cast<unsigned>(capability)) & 1U) != 0;
}

std::string_view name_of(int capability) {
  switch (capability) {
    case CAP_BPF: return "CAP_BPF";
    case CAP_PERFMON: return "CAP_PERFMON";
    case CAP_NET_ADMIN: return "CAP_NET_ADMIN";
    case CAP_SYS_ADMIN: return "CAP_SYS_ADMIN";
    default: return "another capability";
  }
}

}  // namespace

std::uint64_t effective_capabilities() {
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return 0;
  return sets[0].effective | (static_cast<std::uint64_t>(sets[1].effective) << 32U);
}

std::string missing_capabilities(std::uint64_t held, std::span<const int> needed) {
  std::string names;
  if (has(held, CAP_SYS_ADMIN)) return names;
  for (const int capability : needed) {
    if (has(held, capability)) continue;
    if (!names.empty()) names += " and ";
    names += name_of(capability);
  }
  return names;
}

}  // namespace omnitide::ebpf
