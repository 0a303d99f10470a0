// One question to the agent: HTTP/1.1 over its unix socket, with a deadline.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::cni {

using Deadline = std::chrono::steady_clock::time_point;

// The body of a 200. unavailable: nobody listens, which is tried again until `patience`; deadline_exceeded: no answer
// until `deadline`. At most 64 KiB are read. Blocks until then at the longest.
[[nodiscard]] Result<std::string> post(const std::string& socket, std::string_view target, std::string_view body,
                                       Deadline patience, Deadline deadline);

}  // namespace omnitide::cni
