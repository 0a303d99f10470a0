// Questions to all objects together, without a node: may this end reach that one, and why. Every pod of every node is
// an endpoint; the answers are those of the plan that the kernel would get.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/policy/compiler.hpp"
#include "agent/policy/verdict.hpp"

namespace omnitide::policy {

// One end of a connection: a pod, or one address that stands for all that rules cannot tell apart from it.
struct End {
  std::string name;                        // "shop/web", "192.0.2.7", "192.0.2.0/24"
  const Pod* pod = nullptr;                // null: no pod has the address
  std::vector<Address> addresses;          // of a pod one of each family at most
  std::vector<IdentityId> identities;      // what rules see in each of them
  const PlanEndpoint* endpoint = nullptr;  // null: policy does not govern it
  bool unaddressed = false;                // has no address yet: judged by one from 100::/64, which belongs to nobody
};

struct Answer {
  Verdict egress, ingress;
  [[nodiscard]] bool allowed() const { return egress.allowed && ingress.allowed; }
  bool operator==(const Answer&) const = default;
};

class Examiner {
 public:
  // Fails with resource_exhausted when the objects are more than the compiler's limits let in.
  [[nodiscard]] static Result<Examiner> of(std::span<const ObjectRef> objects);

  // Every pod that is alive, by namespace and name. Valid as long as the examiner.
  [[nodiscard]] const std::vector<End>& pods() const { return pods_; }
  // "namespace/pod", an address, or a CIDR: one end for each part of it that rules can tell apart. not_found for a pod
  // that is not there, with the nearest name; invalid_argument for other texts.
  [[nodiscard]] Result<std::vector<End>> find(std::string_view text) const;
  // The first addresses of all parts that rules may tell apart. Two sets of rules together see a change only there.
  [[nodiscard]] std::set<Address> borders() const;

  // The port of that name and protocol on the pod; nullopt when it has none.
  [[nodiscard]] static std::optional<std::uint16_t> named_port(const End& to, std::string_view name, Protocol protocol);
  // nullopt: the two have no address family in common. `v4`: which family, when they have both; IPv4 without it, or
  // IPv6 when it is the only one.
  [[nodiscard]] std::optional<Answer> ask(const End& from, const End& to, Protocol protocol, std::uint16_t port,
                                          std::optional<bool> v4 = {});
  // The families that both have: {true} for IPv4, ...
  [[nodiscard]] static std::vector<bool> common_families(const End& from, const End& to);

  // A rule of the endpoint's set, as far as it is about this connection.
  struct RuleView {
    const RuleOrigin* origin = nullptr;
    bool peer = false, port = false;  // matches the peer, the port
    bool decides = false;
  };
  // All rules that could have decided about `subject` in this direction, in their order.
  [[nodiscard]] std::vector<RuleView> rules(const End& subject, Direction direction, const End& peer, Protocol protocol,
                                            std::uint16_t port, bool v4) const;
  [[nodiscard]] std::vector<ObjectRef> selecting(const End& end, Direction direction) const;
  [[nodiscard]] const Plan& plan() const { return plan_; }
  // The same number for identities that no rule of any set tells apart.
  [[nodiscard]] std::uint32_t peer_class(IdentityId identity) const;

 private:
  explicit Examiner(Compiler compiler) : compiler_(std::move(compiler)) {}
  [[nodiscard]] End end_at(const Address& address, std::string name) const;
  [[nodiscard]] std::set<Address> borders(const Prefix& block) const;
  [[nodiscard]] std::vector<End> parts_of(const Prefix& block) const;
  void find_classes();
  [[nodiscard]] Verdict judge(const End& subject, Direction direction, IdentityId peer, Protocol protocol,
                              std::uint16_t port);

  std::vector<ObjectRef> objects_;
  Compiler compiler_;
  Plan plan_;
  std::vector<End> pods_;
  std::map<Address, std::size_t> pod_at_;                  // index into pods_
  std::unordered_map<IdentityId, std::uint32_t> classes_;  // of those that have rows of their own
  using Question = std::tuple<SetId, IdentityId, Protocol, std::uint16_t>;
  std::map<Question, Verdict> answers_;  // of judge(); bounded, since ends share sets and identities
};

}  // namespace omnitide::policy
