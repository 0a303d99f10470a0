// Which device on the node a pod is behind. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/network.hpp"

namespace omnitide::enforcement {

struct Located {
  std::uint32_t ifindex = 0;  // 0: not found
  std::string reason;         // why not
};

// In this order: the device that the pod's annotation names; the device of a host route to one of its addresses, in any
// table; the port of a bridge behind which the MAC of one of its addresses was seen. What is found by route or bridge
// has to be of a kind that pods have: never hardware or a tunnel. `current` is the device that it was found on before;
// it stays there while that device exists and no route says otherwise, since neighbours and bridges forget.
[[nodiscard]] Located locate(const policy::PlanEndpoint& pod, const Network& network, std::uint32_t current);

// Whom to ask so that a bridge learns where the pod is: its addresses with the devices in whose subnets they are.
[[nodiscard]] std::vector<std::pair<Address, std::uint32_t>> questions(const policy::PlanEndpoint& pod,
                                                                       const Network& network);

// Virtual devices of which one end is in a pod.
[[nodiscard]] bool is_pod_kind(const Device& device);

}  // namespace omnitide::enforcement
