// What the looks of the probes share. Inside of the room.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/base/error.hpp"
#include "agent/daemon/health_probe.hpp"
#include "health/checks/finding.hpp"

namespace omnitide::daemon {

inline constexpr std::size_t kLongestTold = 256;
inline constexpr std::chrono::milliseconds kLongestProbeJob = std::chrono::seconds(10);  // of a worker

// The message is cleaned and cut.
[[nodiscard]] health::Finding finding_of(health::Verdict verdict, std::string reason, const std::string& message,
                                         health::Evidence evidence = {});
// A bad one, "NotReached" or "TimedOut".
[[nodiscard]] health::Finding not_reached(const Error& error, health::Evidence evidence);

struct ProbeTarget {
  std::string host;
  std::uint16_t port = 0;
};
// Of "HOST:PORT", "[ADDRESS]:PORT" or, with a default port, the host alone.
[[nodiscard]] ProbeTarget target_of(std::string_view text, std::uint16_t port);

}  // namespace omnitide::daemon
