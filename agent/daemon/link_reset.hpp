// Takes a network device down and up again by rtnetlink, as `ip link set` does. What the kernel forgets of a device
// that is down (routes, IPv6 addresses) is kept and put back.
#pragma once

#include <string>

#include "agent/base/error.hpp"

namespace omnitide::daemon {

// Blocks for as long as the driver takes. not_found where there is no such device, failed_precondition for one that is
// not up: somebody took it down. An error also says what could not be put back.
[[nodiscard]] Result<> reset_link(const std::string& device);

}  // namespace omnitide::daemon
