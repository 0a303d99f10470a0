// What the compiler gives and ebpf/enforcement puts into the kernel: numbers and bits, no selectors and no text that a
// packet's verdict does not need. docs/adr/0006-policy-data-path.md has the whole picture.
//
//   identity   what the rules in use tell apart about an address: which of their selectors select the pod or node, a
//              pod's named ports, and which of their CIDRs contain it. Immutable: a pod that another selector selects,
//              or a selector that comes into use, is another identity.
//   rule set   the rules of one direction of one or more endpoints, in order of precedence. Immutable. Rule i is bit i.
//   peer row   for a set and an identity: the rules whose peers include it.
//   port row   for a set and a port prefix: the rules whose ports include it.
//   verdict    the first rule in peer row AND port row decides; `pass` goes on behind its tier; none: the set's
//   default.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/base/address.hpp"

namespace omnitide::policy {

using SetId = std::uint32_t;
using IdentityId = std::uint32_t;

inline constexpr SetId kOpen = 0;                     // no set: everything is allowed
inline constexpr IdentityId kWorld = 1;               // an address that no pod, node or CIDR names
inline constexpr IdentityId kAnyPod = 0xfffffffeU;    // rows for pods' identities that have no row of their own
inline constexpr IdentityId kAnyOther = 0xffffffffU;  // the same for all other identities
inline constexpr IdentityId kPodBit = 0x80000000U;    // set in the identities of pods, and in them only
inline constexpr std::uint32_t kMostRules = 16384;    // of a set: what the kernel's row can address

// Positions of rules, ascending, each once.
using Bits = std::vector<std::uint16_t>;

enum class Decision : std::uint8_t { accept = 0, deny = 1, pass = 2 };

struct PlanRule {
  Decision decision = Decision::accept;
  std::uint16_t pass_to = 0;  // for pass: the first rule of the next tier
  std::uint32_t origin = 0;   // index into the compiler's rule origins, for explain and flows
};

// Every row holds all the rules that its port prefix lies in, those of shorter prefixes and of every port too: the
// longest match alone answers. Rows: {any, 0 bits}, {protocol, 0 bits} and {protocol, port prefix of 1 to 16 bits}.
struct PortRow {
  std::uint8_t protocol = 0;  // IANA number; 0: any protocol, without ports
  std::uint16_t port = 0;     // host order; the bits behind `length` are zero
  std::uint8_t length = 0;    // how many leading bits of the port count
  Bits rules;
};

struct RuleSet {
  SetId id = kOpen;
  Decision otherwise = Decision::deny;  // when no rule decides
  std::vector<PlanRule> rules;
  std::vector<PortRow> ports;  // sorted by protocol, length, port
};

// A row that equals that of kAnyPod or kAnyOther (by the identity's kPodBit) is not written. Neither there: no rule. A
// row may be empty, where the one of kAnyPod or kAnyOther is not: then it hides that one.
struct PeerRow {
  SetId set = kOpen;
  IdentityId identity = kWorld;
  Bits rules;
};

struct PeerRowKey {
  SetId set = kOpen;
  IdentityId identity = kWorld;
};

// Which identity an address has: the longest prefix decides.
struct Location {
  Prefix prefix;
  IdentityId identity = kWorld;
};

enum class EndpointKind : std::uint8_t { pod, host };

struct PlanEndpoint {
  std::string name;  // "namespace/pod", or "host"
  EndpointKind kind = EndpointKind::pod;
  std::vector<Address> addresses;  // of a pod: the only sources that it may send from
  std::string interface;           // asked for by annotation; empty: found by route or bridge
  IdentityId identity = kWorld;
  SetId ingress = kOpen, egress = kOpen;
  bool any_source = false;
  bool keep_established = false;
  std::vector<std::string> host_interfaces;  // of a host endpoint: names or globs
  bool operator==(const PlanEndpoint&) const = default;
};

// One step from a published state to the next. New identities appear only in new locations, so rows and sets can be
// written before anything refers to them; what is gone is freed after the last packet that could have seen it.
struct PlanUpdate {
  std::vector<RuleSet> sets;            // new ones
  std::vector<PeerRow> rows;            // of new sets, and of new identities in sets that stay
  std::vector<Location> locations;      // new ones, and those with another identity
  std::vector<PlanEndpoint> endpoints;  // new and changed ones
  std::vector<Prefix> host_deny;        // the whole deny list, when `host_deny_changed`
  bool host_deny_changed = false;
  std::vector<Prefix> gone_locations;
  std::vector<std::string> gone_endpoints;
  std::vector<SetId> gone_sets;  // with all their rows
  std::vector<PeerRowKey> gone_rows;
  [[nodiscard]] bool empty() const;
};

}  // namespace omnitide::policy
