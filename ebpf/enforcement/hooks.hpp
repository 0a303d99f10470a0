// Single attachments of programs: tcx, clsact, XDP and cgroup. Nothing is kept here.
#pragma once

#include <cstdint>
#include <optional>

#include "agent/base/error.hpp"
#include "agent/base/fd.hpp"
#include "ebpf/enforcement/pins.hpp"

namespace omnitide::enforcement {

// tcx (Linux 6.6), in front of everybody else's programs, so that none of them accepts a packet before it is judged.
// unimplemented: the kernel has none. Blocks for a grace period, with the kernel's lock of all devices held.
[[nodiscard]] Result<UniqueFd> attach_tcx(int program, const LinkKey& key);
// XDP in the driver where it can, else generic. already_exists: somebody else's program is there.
[[nodiscard]] Result<UniqueFd> attach_xdp(int program, std::uint32_t ifindex);
[[nodiscard]] Result<UniqueFd> attach_cgroup(int program, int cgroup);

struct LinkFacts {
  std::uint32_t program = 0;  // id
  bool detached = false;      // its device is gone
};
[[nodiscard]] Result<LinkFacts> link_facts(int link, Hook hook);
// not_found: its device is gone.
[[nodiscard]] Result<> switch_link(int link, int program);
// At once, unlike the removal of the last pin.
[[nodiscard]] Result<> detach_link(int link);

// A filter of ours in the qdisc clsact, known by its handle and the program's name. Attaching replaces the one that is
// there, so that no packet passes between the two.
[[nodiscard]] Result<> attach_clsact(int program, const LinkKey& key);
[[nodiscard]] Result<> detach_clsact(const LinkKey& key);  // and the qdisc, when it has no other filters
// The program's id; nullopt: none of ours.
[[nodiscard]] Result<std::optional<std::uint32_t>> find_clsact(const LinkKey& key);

}  // namespace omnitide::enforcement
