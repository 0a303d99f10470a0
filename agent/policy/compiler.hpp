// From objects to the plan: which identity each address has, which rules each endpoint has. Pure: no I/O, no clock. A
// change costs what it touches; what did not change keeps its numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/policy/changes.hpp"
#include "agent/policy/plan.hpp"
#include "agent/policy/rule_origin.hpp"

namespace omnitide::policy {

struct CompilerLimits {
  std::uint32_t rules = kMostRules;     // of one set; at most kMostRules
  std::uint32_t total_rules = 262'144;  // of all sets together
  std::uint32_t identities = 65'536;    // what rules can tell apart
  std::uint32_t cidrs = 65'536;         // different prefixes of ipBlock, except and networks in use
  std::uint32_t addresses = 131'072;    // of pods and nodes
  std::uint32_t sets = 16'384;          // of rules
  std::uint32_t rows = 1'048'576;       // of peers, all sets together
  std::uint32_t endpoints = 65'536;     // pods of this node, and the host
  std::uint32_t deny = 1'048'576;       // entries for this host
};

// How much of each limit is used; the names are those of the limits.
struct CompilerUse {
  std::size_t rules = 0, total_rules = 0, identities = 0, cidrs = 0, addresses = 0, sets = 0, rows = 0, endpoints = 0;
  std::size_t deny = 0;
};

class Compiler {
 public:
  struct Options {
    std::string node_name;  // empty: every pod is an endpoint, and there is no host
    CompilerLimits limits = {};
    SetId first_set = 1;            // new sets and identities get numbers from here on, so that none meets one that the
    IdentityId first_identity = 2;  // kernel still has; kPodBit does not count
  };

  explicit Compiler(Options options);
  ~Compiler();
  Compiler(Compiler&&) noexcept;
  Compiler& operator=(Compiler&&) noexcept;

  // All changes as one step, or none: fails with resource_exhausted when a limit would be passed; `field` is the
  // limit's name. Then everything, and everything that the kernel has, is as before.
  [[nodiscard]] Result<PlanUpdate> apply(const Changes& changes);
  // The whole state as one step from nothing.
  [[nodiscard]] PlanUpdate everything() const;

  [[nodiscard]] CompilerUse use() const;
  [[nodiscard]] const CompilerLimits& limits() const;

  // Of a rule of the present plan; null when there is none. Valid until apply().
  [[nodiscard]] const RuleOrigin* rule_origin(std::uint32_t index) const;
  // The pod or node that has the address; null when none has. Valid until apply().
  [[nodiscard]] const ObjectKey* holder(const Address& address) const;
  // The policies that have a say in this direction about an endpoint's pod, in the order of their keys: those that
  // isolate it, and those of a tier that have rules. Empty: none, or the pod is no endpoint.
  [[nodiscard]] std::vector<ObjectRef> selecting(const ObjectKey& pod, Direction direction) const;

  // An address that several pods or nodes say is theirs. The first by order, nodes before pods, has it.
  struct Conflict {
    Address address;
    std::vector<ObjectKey> claimants;
  };
  [[nodiscard]] std::vector<Conflict> conflicts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace omnitide::policy
