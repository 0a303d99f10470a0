// The compiler's records: what it keeps once for all pods, addresses and rules that share it, linked in both directions
// so that a change finds what it touches. Links are plain pointers; the pools of PeerIndex, PolicyTable and SetTable
// own the records.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/policy/changes.hpp"
#include "agent/policy/plan.hpp"
#include "agent/policy/pool.hpp"
#include "agent/policy/rule_origin.hpp"

namespace omnitide::policy {

struct Selection;
struct BlockRecord;
struct Matcher;
struct AddressClass;
struct PeerClass;
struct IdentityRecord;
struct SetRecord;
struct PodState;
struct PolicyState;

// All that a selector could go by about a pod or a node, apart from its addresses.
struct ProfileKey {
  enum class Kind : std::uint8_t { none, pod, node };  // none: of an address that is no pod's and no node's
  Kind kind = Kind::none;
  bool namespace_known = false;
  std::string name_space;
  Labels namespace_labels, labels;
  std::vector<NamedPort> ports;
  bool operator==(const ProfileKey&) const = default;
};

struct Profile : Pooled {
  const ProfileKey* key = nullptr;
  std::vector<Selection*> selections;  // that select it
  std::vector<Address> addresses;      // that are claimed for it, in no order
  std::set<PodState*> endpoints;       // pods of this node
  SetRecord* ingress = nullptr;        // of these endpoints; null: open
  SetRecord* egress = nullptr;
  bool keep_established = false;
};

// Pods by namespace and labels, or nodes by labels. A policy's subject, or part of a peer.
struct SelectionKey {
  bool nodes = false;
  std::string name_space;  // when set, instead of `namespaces`
  Selector namespaces;
  Selector labels;
  bool operator==(const SelectionKey&) const = default;
};

struct Selection : Pooled {
  const SelectionKey* key = nullptr;
  bool active = false;                 // in the classes of peers
  std::uint32_t peer_uses = 0;         // by matchers in use
  std::vector<Profile*> profiles;      // that it selects
  std::vector<PeerClass*> classes;     // that have it
  std::vector<Matcher*> matchers;      // of which it is part
  std::vector<PolicyState*> subjects;  // policies whose subject it is
};

struct BlockRecord : Pooled {
  const Block* key = nullptr;
  bool active = false;  // in the classes of addresses
  std::vector<Matcher*> matchers;
  std::vector<AddressClass*> classes;
};

// The peers of a rule. `any_other` goes with `any_pod`: every address.
struct MatcherKey {
  bool any_pod = false, any_other = false;
  std::vector<std::uint64_t> selections, blocks;  // serials, ascending
  bool operator==(const MatcherKey&) const = default;
};

struct Matcher : Pooled {
  struct Use {
    SetRecord* set = nullptr;
    std::size_t index = 0;  // in its peers
  };
  const MatcherKey* key = nullptr;
  std::vector<Selection*> selections;
  std::vector<BlockRecord*> blocks;
  std::vector<Use> sets;
};

// The blocks that contain an address, in the order of their serials.
using ClassKey = std::vector<std::uint64_t>;

struct AddressClass : Pooled {
  const ClassKey* key = nullptr;
  std::vector<BlockRecord*> blocks;
  std::vector<IdentityRecord*> identities;
  std::uint32_t pods = 0, others = 0;  // counted identities
};

// What the rules in use here tell apart about a pod or a node, apart from its addresses: of a cluster's thousands of
// labels and namespaces only those that a policy of this node's pods asks for make a difference.
struct PeerClassKey {
  ProfileKey::Kind kind = ProfileKey::Kind::none;
  std::vector<std::uint64_t> selections;  // serials of active ones, ascending
  std::vector<NamedPort> ports;
  bool operator==(const PeerClassKey&) const = default;
};

struct PeerClass : Pooled {
  const PeerClassKey* key = nullptr;
  std::vector<Selection*> selections;
  std::vector<IdentityRecord*> identities;
};

struct IdentityKey {
  PeerClass* peer_class = nullptr;
  AddressClass* address_class = nullptr;
  bool operator==(const IdentityKey&) const = default;
};

struct IdentityRecord : Pooled {
  const IdentityKey* key = nullptr;
  IdentityId id = 0;
  bool published = false;
  bool counted = false;          // is an address's: what class counts and named ports reckon with
  std::vector<SetRecord*> sets;  // with a row of its own
  [[nodiscard]] bool is_pod() const { return (id & kPodBit) != 0; }
};

// What a port's name stands for.
struct ResolvedPort {
  Protocol protocol = Protocol::tcp;
  std::uint16_t number = 0;
  auto operator<=>(const ResolvedPort&) const = default;
};

struct PartRule {
  Decision decision = Decision::accept;
  Matcher* matcher = nullptr;
  bool everything = false;       // no ports: every protocol
  std::vector<PortMatch> ports;  // without names
  std::vector<PortMatch> names;
  std::uint32_t origin = 0;
  // Of egress rules with names: how many counted identities have each port.
  std::map<ResolvedPort, std::uint32_t> groups;
};

// The rules of one policy in one direction. Immutable but for groups; a policy whose rules change gets another part.
// One use: the policy's whose part it is now.
struct Part : Pooled {
  ObjectKey policy;
  Direction direction = Direction::ingress;
  std::vector<Rule> source;  // as in the policy, without lines and names
  std::vector<PartRule> rules;
  PolicyState* owner = nullptr;
};

// A named port of a part's rule, as resolved for the set.
struct Group {
  std::uint32_t part = 0, rule = 0;  // indices
  ResolvedPort port;
  auto operator<=>(const Group&) const = default;
};

struct SetKey {
  Decision otherwise = Decision::accept;
  std::uint32_t admin_parts = 0;  // how many of the parts are of the Admin tier
  std::vector<Part*> parts;       // in the order of precedence; those without rules are left out
  std::vector<Group> groups;      // ascending
  bool operator==(const SetKey&) const = default;
};

struct SetRecord : Pooled {
  struct Peers {
    Matcher* matcher = nullptr;
    Bits rules;
  };
  struct Named {  // a rule for the identities that have `port` by one of the names, and no others
    Matcher* matcher = nullptr;
    const PartRule* source = nullptr;
    ResolvedPort port;
    std::uint16_t rule = 0;
  };
  const SetKey* key = nullptr;
  bool published = false;
  RuleSet content;
  std::vector<Peers> peers;  // sorted by matcher
  std::vector<Named> named;
  Bits any_pod, any_other;          // rules for every pod, for every other identity
  Bits default_pod, default_other;  // rows of kAnyPod, kAnyOther: these, and what most addresses have by blocks
  std::unordered_map<IdentityRecord*, Bits> rows;
};

struct PolicyState {
  ObjectRef object;
  Selection* subject = nullptr;  // null: of HostPolicy
  Part* ingress = nullptr;
  Part* egress = nullptr;
  std::uint64_t serial = 0;
  bool selects_host = false;  // of HostPolicy
  bool active = false;        // has its parts, since it selects an endpoint or the host
  bool stale = false;         // its object is newer than its parts
  [[nodiscard]] const std::string& name() const {
    return std::visit([](const auto& policy) -> const std::string& { return policy.name; }, *object);
  }
};

struct PodState {
  ObjectRef object;
  Profile* profile = nullptr;      // null: in no set
  std::vector<Address> addresses;  // that it claims
};

struct NodeState {
  ObjectRef object;
  Profile* profile = nullptr;
  std::vector<Address> addresses;
};

}  // namespace omnitide::policy
