#include "tests/harness/policy_agreement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "tests/harness/policy_oracle.hpp"

namespace omnitide::policy::agreement {

namespace {

using random_objects::Generator;

struct Case {
  Direction direction = Direction::ingress;
  Address peer;
  Generator::Probe probe;
};

std::vector<Case> cases(const std::vector<Address>& peers, const std::vector<Generator::Probe>& probes,
                        Generator& generator, unsigned most) {
  std::vector<Case> out;
  for (const Direction direction : {Direction::ingress, Direction::egress}) {
    if (most == 0) {
      for (const Address& peer : peers) {
        for (const Generator::Probe& probe : probes)
          out.push_back({.direction = direction, .peer = peer, .probe = probe});
      }
      continue;
    }
    for (unsigned i = 0; i < most; ++i) {
      out.push_back({.direction = direction,
                     .peer = peers[generator.below(static_cast<unsigned>(peers.size()))],
                     .probe = probes[generator.below(static_cast<unsigned>(probes.size()))]});
    }
  }
  return out;
}

std::string describe_case(const std::string& name, const Case& one, bool expected) {
  return fmt::format("{} {} {} {} port {}: the oracle says {}", name, word(one.direction), format(one.peer),
                     static_cast<unsigned>(one.probe.protocol), one.probe.port, expected ? "allow" : "deny");
}

std::optional<std::string> endpoints_differ(const Plan& plan, const oracle::Oracle& truth) {
  std::set<std::string> expected;
  for (const Pod* pod : truth.endpoints()) {
    const std::string name = pod->name_space + "/" + pod->name;
    expected.insert(name);
    const PlanEndpoint* endpoint = plan.endpoint(name);
    if (endpoint == nullptr) return name + " is no endpoint";
    if (endpoint->addresses != truth.addresses_of(*pod)) return name + " has other addresses";
    if (endpoint->keep_established != truth.keeps_established(*pod)) return name + ": keep_established is wrong";
    if (endpoint->any_source != pod->any_source) return name + ": any_source is wrong";
    if (endpoint->identity != plan.identity(endpoint->addresses.front())) return name + " has another identity";
  }
  if (truth.has_host()) expected.insert("host");
  for (const auto& [name, endpoint] : plan.endpoints()) {
    if (!expected.contains(name)) return name + " should be no endpoint";
  }
  return plan.endpoints().size() == expected.size() ? std::nullopt
                                                    : std::optional<std::string>("an endpoint is missing");
}

bool expected(const oracle::Oracle& truth, const Pod* pod, const Case& one) {
  const oracle::Packet packet{.peer = one.peer, .protocol = one.probe.protocol, .port = one.probe.port};
  const bool ingress = one.direction == Direction::ingress;
  if (pod == nullptr) return truth.host_allows(ingress, packet);
  return ingress ? truth.allows_ingress(*pod, packet) : truth.allows_egress(*pod, packet);
}

}  // namespace

std::vector<ObjectRef> list(const Objects& objects) {
  std::vector<ObjectRef> out;
  for (const auto& [key, object] : objects)
    out.push_back(object);
  return out;
}

Changes all_of(const Objects& objects) { return {.upserts = list(objects), .removals = {}, .relocated = {}}; }

Plan plan_of(const Compiler& compiler) {
  Plan out;
  out.apply(compiler.everything());
  return out;
}

std::optional<std::string> disagreement(const Plan& plan, const Objects& objects, const std::string& node_name,
                                        std::uint64_t seed, unsigned most) {
  const oracle::Oracle truth(list(objects), node_name);
  if (auto problem = endpoints_differ(plan, truth)) return problem;
  const std::vector<Address> peers = Generator::addresses(objects);
  const std::vector<Generator::Probe> probes = Generator::probes(objects);
  Generator generator(seed);
  std::vector<const Pod*> subjects = truth.endpoints();
  if (truth.has_host()) subjects.push_back(nullptr);
  for (const Pod* pod : subjects) {
    const std::string name = pod == nullptr ? "host" : pod->name_space + "/" + pod->name;
    for (const Case& one : cases(peers, probes, generator, most)) {
      const bool wanted = expected(truth, pod, one);
      const Verdict verdict = plan.judge(*plan.endpoint(name), one.direction, one.peer,
                                         static_cast<std::uint8_t>(one.probe.protocol), one.probe.port);
      if (verdict.allowed != wanted) return describe_case(name, one, wanted);
    }
  }
  return std::nullopt;
}

namespace {

// Numbers on both sides that must stand for the same thing.
template <class Number>
class Pairs {
 public:
  bool same(Number left, Number right) {
    const auto [a, new_left] = right_of_.try_emplace(left, right);
    const auto [b, new_right] = left_of_.try_emplace(right, left);
    return a->second == right && b->second == left;
  }
  [[nodiscard]] const std::map<Number, Number>& all() const { return right_of_; }

 private:
  std::map<Number, Number> right_of_, left_of_;
};

bool same_origin(const RuleOrigin* left, const RuleOrigin* right) {
  if (left == nullptr || right == nullptr) return false;
  return left->policy == right->policy && left->index == right->index && left->direction == right->direction &&
         left->action == right->action && left->fail_safe == right->fail_safe && left->where.line == right->where.line;
}

bool same_row(const PortRow& left, const PortRow& right) {
  return left.protocol == right.protocol && left.port == right.port && left.length == right.length &&
         left.rules == right.rules;
}

std::optional<std::string> sets_differ(const Plan::Set& left, const Compiler& of_left, const Plan::Set& right,
                                       const Compiler& of_right) {
  if (left.rules.otherwise != right.rules.otherwise) return "other defaults";
  if (left.rules.rules.size() != right.rules.rules.size()) return "another number of rules";
  for (std::size_t i = 0; i < left.rules.rules.size(); ++i) {
    const PlanRule& a = left.rules.rules[i];
    const PlanRule& b = right.rules.rules[i];
    if (a.decision != b.decision || a.pass_to != b.pass_to) return fmt::format("rule {} is another", i);
    if (!same_origin(of_left.rule_origin(a.origin), of_right.rule_origin(b.origin)))
      return fmt::format("rule {} comes from elsewhere", i);
  }
  if (!std::ranges::equal(left.rules.ports, right.rules.ports, same_row)) return "other port rows";
  return std::nullopt;
}

}  // namespace

std::optional<std::string> difference(const Plan& left, const Compiler& of_left, const Plan& right,
                                      const Compiler& of_right) {
  Pairs<IdentityId> identities;
  if (left.locations().size() != right.locations().size()) return "another number of locations";
  for (const auto& [prefix, identity] : left.locations()) {
    const auto other = right.locations().find(prefix);
    if (other == right.locations().end()) return "no location " + format(prefix);
    if (!identities.same(identity, other->second)) return "another identity at " + format(prefix);
  }
  Pairs<SetId> sets;
  if (left.endpoints().size() != right.endpoints().size()) return "another number of endpoints";
  for (const auto& [name, endpoint] : left.endpoints()) {
    const PlanEndpoint* other = right.endpoint(name);
    if (other == nullptr) return "no endpoint " + name;
    if (!sets.same(endpoint.ingress, other->ingress) || !sets.same(endpoint.egress, other->egress))
      return "other sets of " + name;
    PlanEndpoint with_ids = *other;
    with_ids.ingress = endpoint.ingress;
    with_ids.egress = endpoint.egress;
    with_ids.identity = endpoint.identity;
    if (!(with_ids == endpoint)) return "another endpoint " + name;
    if (endpoint.kind == EndpointKind::pod && !identities.same(endpoint.identity, other->identity))
      return "another identity of " + name;
  }
  for (const auto& [id, other] : sets.all()) {
    if ((id == kOpen) != (other == kOpen)) return "open on one side only";
    if (id == kOpen) continue;
    const Plan::Set& a = left.sets().at(id);
    const Plan::Set& b = right.sets().at(other);
    if (auto problem = sets_differ(a, of_left, b, of_right)) return fmt::format("set {}: {}", id, *problem);
    for (const auto& [identity, peer] : identities.all()) {
      if (left.peer_row(a, identity) != right.peer_row(b, peer))
        return fmt::format("set {}: other rules for identity {}", id, identity);
    }
  }
  return left.host_deny() == right.host_deny() ? std::nullopt : std::optional<std::string>("another deny list");
}

std::optional<std::string> waste(const Plan& plan) {
  std::set<SetId> used;
  for (const auto& [name, endpoint] : plan.endpoints()) {
    used.insert(endpoint.ingress);
    used.insert(endpoint.egress);
  }
  std::set<IdentityId> known{kAnyPod, kAnyOther};
  for (const auto& [prefix, identity] : plan.locations())
    known.insert(identity);
  for (const auto& [id, set] : plan.sets()) {
    if (!used.contains(id)) return fmt::format("set {} is nobody's", id);
    for (const auto& [identity, bits] : set.rows) {
      if (!known.contains(identity)) return fmt::format("set {} has a row for identity {} of no address", id, identity);
      const bool any = identity == kAnyPod || identity == kAnyOther;
      const auto of_any = set.rows.find((identity & kPodBit) != 0 ? kAnyPod : kAnyOther);
      if (!any && bits == (of_any == set.rows.end() ? Bits{} : of_any->second))
        return fmt::format("set {} has a row for identity {} that says nothing", id, identity);
    }
  }
  return std::nullopt;
}

}  // namespace omnitide::policy::agreement
