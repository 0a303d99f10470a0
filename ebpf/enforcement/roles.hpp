// What each device of the node is to enforcement, and what follows from it: its element, its programs. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/network.hpp"
#include "ebpf/enforcement/object.hpp"
#include "ebpf/enforcement/options.hpp"
#include "ebpf/enforcement/pins.hpp"
#include "ebpf/enforcement/publisher.hpp"
#include "ebpf/enforcement/status.hpp"

namespace omnitide::enforcement {

using Endpoints = std::map<std::string, policy::PlanEndpoint>;

struct Role {
  RoleKind kind = RoleKind::other;
  std::string endpoint;  // of pod and host
  bool no_l2 = false, bridge = false;
  bool operator==(const Role&) const = default;
};
using Roles = std::map<std::uint32_t, Role>;  // by ifindex; without lo

struct Assignment {
  Roles roles;
  std::map<std::string, std::string> pending;  // endpoints that no device was found for, with the reason
};

// `before` are the roles of the last assignment, without devices that were removed since.
[[nodiscard]] Assignment assign(const Endpoints& endpoints, const Network& network, const Roles& before,
                                const Options& options);

[[nodiscard]] Elements elements_of(const Roles& roles, const Endpoints& endpoints, Mode mode);

// Whether packets of pods have to be judged where they reach a socket of the node: while any pod has egress rules.
[[nodiscard]] bool waits_for_sockets(const Elements& elements);

[[nodiscard]] std::map<LinkKey, Program> programs_of(const Roles& roles, bool xdp_deny, bool deliver);

}  // namespace omnitide::enforcement
