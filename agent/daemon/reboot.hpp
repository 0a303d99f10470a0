// Restarting the machine, as an operator would: by logind, which lets every service end first.
#pragma once

#include "agent/base/error.hpp"

namespace omnitide::daemon {

// org.freedesktop.login1.Manager.Reboot, https://www.freedesktop.org/software/systemd/man/org.freedesktop.login1.html.
// Blocks for up to five seconds. An error says why the machine stays up: no systemd, no bus, not permitted.
[[nodiscard]] Result<> reboot_by_logind();

}  // namespace omnitide::daemon
