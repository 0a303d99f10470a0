// The closed state of a device: a program that drops every packet, in front of all others, in both directions. Its
// links are pinned where the agent looks for them (PINS/closed/IFINDEX-in and -out), so that it can put its own program
// in their place without a packet between the two. Where the kernel has no tcx (before 6.6) it is a filter of the qdisc
// clsact, and the program is pinned there in the link's stead.
//
// By bpf(2) alone: the program is two instructions, and what the agent compiled may not be there yet.
#pragma once

#include <cstdint>
#include <string>

#include "agent/base/error.hpp"

namespace omnitide::cni {

// Nothing passes when it returns. failed_precondition: `pins` is not in a bpffs. Blocks for two grace periods of the
// kernel (some 10 ms each).
[[nodiscard]] Result<> close_device(const std::string& pins, std::uint32_t ifindex);
// Takes away what close_device() attached, unless the agent has taken it over.
void open_device(const std::string& pins, std::uint32_t ifindex);
// Whether a program of the agent or of close_device() is there for both directions.
[[nodiscard]] bool is_guarded(const std::string& pins, std::uint32_t ifindex);
// Removes the pins of devices that are gone.
void sweep(const std::string& pins);

}  // namespace omnitide::cni
