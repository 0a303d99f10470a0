// What enforcement tells of itself. Plain values, each a copy of its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/address.hpp"
#include "agent/policy/plan.hpp"
#include "ebpf/enforcement/options.hpp"

namespace omnitide::enforcement {

// What a device is to enforcement.
enum class RoleKind : std::uint8_t {
  pod,     // judged for the pod on it
  closed,  // ours, but no pod is known to be on it: all is dropped
  host,    // under HostPolicy
  other,   // only packets that pods sent through a Service are judged when they leave by it
};
[[nodiscard]] std::string_view role_name(RoleKind kind);  // "pod"

struct EndpointStatus {
  std::string name;
  std::vector<std::string> devices;  // empty: pending
  std::string pending;               // why it is not enforced; empty when it is
};

struct DeviceStatus {
  std::uint32_t ifindex = 0;
  std::string name;
  RoleKind kind = RoleKind::other;
  std::string endpoint;
  std::string problem;  // why a program is not attached; empty: it is
};

struct MapStatus {
  std::string_view name;
  std::uint64_t used = 0, limit = 0;
};

struct Status {
  bool live = false;       // a policy of this process is enforced; else the one found at the start, if any
  bool inherited = false;  // pins of an earlier process were there at the start
  Mode mode = Mode::enforce;
  std::string_view attached_by;  // "tcx", "clsact", or empty while nothing is attached
  std::uint32_t epoch = 0;
  std::uint64_t publications = 0, failures = 0;
  std::uint64_t forced_barriers = 0;  // publications that had to wait for a grace period
  bool unsettled = false;             // settle() has something to do
  std::string last_failure;           // of a publication; empty after a good one
  std::string warning;                // what did not work although the last publication did
  std::string local_delivery;         // why egress to the node itself through a Service is not judged; empty: it is
  std::vector<EndpointStatus> endpoints;
  std::vector<DeviceStatus> devices;  // all but `other` ones without a problem
  std::vector<MapStatus> maps;
};

struct Counter {
  std::uint8_t direction = 0;  // enum policy_direction
  std::uint8_t reason = 0;     // enum policy_reason
  std::uint64_t packets = 0, bytes = 0;
};

struct Counters {
  std::vector<Counter> verdicts;  // those that are not zero
  std::uint64_t lost_events = 0;
};

// enum policy_reason without its prefix in lower case: "no_rule"; "unknown" for a number that has none.
[[nodiscard]] std::string_view reason_name(std::uint8_t reason);

// A new verdict, as the programs reported it.
struct FlowEvent {
  std::uint64_t time_ns = 0;  // CLOCK_MONOTONIC
  std::uint32_t ifindex = 0;
  std::string endpoint;  // that decided; empty when its device is gone
  policy::SetId set = policy::kOpen;
  std::optional<std::uint16_t> rule;  // of `set`
  std::uint8_t verdict = 0;           // enum policy_verdict
  std::uint8_t reason = 0;            // enum policy_reason
  std::uint8_t direction = 0;         // enum policy_direction
  std::uint8_t protocol = 0, tcp_flags = 0;
  bool audit = false, reply = false;
  std::uint16_t source_port = 0, destination_port = 0;
  policy::IdentityId source_identity = 0, destination_identity = 0;  // 0: not looked up
  std::uint32_t length = 0;
  Address source, destination;
};

}  // namespace omnitide::enforcement
