// The gateways of the node's default routes, and whether they are there: the kernel resolves a neighbour when something
// is sent to it, which takes no privilege, and says over rtnetlink what came of it. An answer to an ICMP echo is better
// news, where the agent may ask for one (net.ipv4.ping_group_range) and the gateway gives one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/error.hpp"

namespace omnitide::daemon {

struct Gateway {
  int family = 0;    // of the route: AF_INET, AF_INET6
  std::string link;  // the device's name
  std::uint32_t index = 0;
  std::string address;  // 4 or 16 bytes, network order; of an IPv4 route it may be one of IPv6
  std::string text;     // "192.0.2.1"
  std::uint32_t metric = 0;
};

enum class GatewayState : std::uint8_t {
  unknown,  // nothing was heard that says either
  reachable,
  unreachable,  // nobody answered for its address
};
struct GatewaySight {
  Gateway gateway;
  GatewayState state = GatewayState::unknown;
};

// Of each family's default routes in the main table those with the lowest metric, as far as they have a gateway and
// their link has a carrier; sixteen at most. Of the calling thread's network namespace.
[[nodiscard]] Result<std::vector<Gateway>> default_gateways();

// Waits for the kernel: for a worker. Nothing is sent while the kernel has heard the gateway within its own time (some
// 30 seconds). One that was heard long ago takes the kernel eight seconds to give up, one that never answered three;
// without so much patience it is unknown. `stop`, set by anybody, ends it within 0.2 s.
[[nodiscard]] Result<std::vector<GatewaySight>> look_at_gateways(std::vector<Gateway> gateways,
                                                                 std::chrono::milliseconds patience,
                                                                 const std::atomic<bool>& stop);

}  // namespace omnitide::daemon
