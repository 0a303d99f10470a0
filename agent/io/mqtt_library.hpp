// libmosquitto, made ready when the first connection is wanted and not before: other commands must not pay for it.
#pragma once

#include <mosquitto.h>

#include "agent/base/error.hpp"

namespace omnitide::io {

// Once; from any thread. unimplemented when the library is not installed.
[[nodiscard]] Result<> load_mosquitto();

}  // namespace omnitide::io
