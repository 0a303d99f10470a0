// The STATE message of a Sparkplug host: {"online": true, "timestamp": 1700000000000}.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/base/error.hpp"

namespace omnitide::telemetry {

struct HostReport {
  bool online = false;
  std::uint64_t timestamp = 0;  // milliseconds since 1970, of the host's CONNECT
};

// Other members are passed over, nested ones too, up to eight levels. invalid_argument for what is no such object, for
// a member that is missing, there twice or of another type, and for more than 4 KiB.
[[nodiscard]] Result<HostReport> parse_host_report(std::string_view json);

}  // namespace omnitide::telemetry
