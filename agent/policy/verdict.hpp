// The plan as it accumulates update by update, and a packet's verdict by it: the same bits that the kernel has.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/policy/plan.hpp"
#include "agent/policy/rule_origin.hpp"

namespace omnitide::policy {

struct Verdict {
  enum class Reason : std::uint8_t {
    open,       // no policy says anything in this direction
    rule,       // `rule` of `set` decides
    otherwise,  // no rule decides: the set's default
    self,       // a pod to itself
    own_node,   // from the pod's own node
    deny_list,  // of HostPolicy
  };
  bool allowed = true;
  Reason reason = Reason::open;
  SetId set = kOpen;
  std::uint16_t rule = 0;    // index in the set
  std::uint32_t origin = 0;  // of the rule
  bool operator==(const Verdict&) const = default;
};

class Plan {
 public:
  struct Set {
    RuleSet rules;
    std::unordered_map<IdentityId, Bits> rows;
  };

  void apply(const PlanUpdate& update);
  // The parts of apply(), in the order in which they are safe one by one: sets and rows, locations, endpoints, what
  // goes.
  void apply_sets(const PlanUpdate& update);
  void apply_locations(const PlanUpdate& update);
  void apply_endpoints(const PlanUpdate& update);
  void apply_gone(const PlanUpdate& update);

  // What the endpoint's rules say about a peer. ICMP has no port: 0.
  [[nodiscard]] Verdict judge(const PlanEndpoint& endpoint, Direction direction, const Address& peer,
                              std::uint8_t protocol, std::uint16_t port) const;
  [[nodiscard]] Verdict judge(SetId set, IdentityId peer, std::uint8_t protocol, std::uint16_t port) const;
  // By the longest prefix; kWorld when there are no locations at all.
  [[nodiscard]] IdentityId identity(const Address& address) const;
  [[nodiscard]] const Bits& peer_row(const Set& set, IdentityId peer) const;
  [[nodiscard]] static const Bits& port_row(const Set& set, std::uint8_t protocol, std::uint16_t port);

  [[nodiscard]] const PlanEndpoint* endpoint(const std::string& name) const;    // null when there is none
  [[nodiscard]] const PlanEndpoint* endpoint_at(const Address& address) const;  // of the pod that has the address
  [[nodiscard]] const std::map<std::string, PlanEndpoint>& endpoints() const { return endpoints_; }
  [[nodiscard]] const std::map<Prefix, IdentityId>& locations() const { return locations_; }
  [[nodiscard]] const std::map<SetId, Set>& sets() const { return sets_; }
  [[nodiscard]] const std::vector<Prefix>& host_deny() const { return host_deny_; }

 private:
  std::map<SetId, Set> sets_;
  std::map<Prefix, IdentityId> locations_;
  std::array<std::uint32_t, 129> lengths_{};  // how many locations have this length
  std::map<std::string, PlanEndpoint> endpoints_;
  std::map<Address, std::string> by_address_;
  std::vector<Prefix> host_deny_;
};

}  // namespace omnitide::policy
