#include "agent/policy/compiler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "agent/policy/address_table.hpp"
#include "agent/policy/endpoint_table.hpp"
#include "agent/policy/peer_index.hpp"
#include "agent/policy/pod_table.hpp"
#include "agent/policy/policy_table.hpp"
#include "agent/policy/set_table.hpp"

namespace omnitide::policy {

namespace {

constexpr const char* kHostName = "host";

bool is_policy(ObjectKey::Kind kind) {
  return kind == ObjectKey::Kind::network_policy || kind == ObjectKey::Kind::cluster_network_policy ||
         kind == ObjectKey::Kind::host_policy;
}

Error exhausted(const char* limit, std::size_t needed, std::size_t allowed, const std::string& what,
                const std::string& hint) {
  Error out =
      fail(Code::resource_exhausted,
           fmt::format("the limit of {} is reached: {} {} would be needed, {} are allowed; the last good policy stays",
                       limit, needed, what, allowed));
  out.field = limit;
  out.hint = hint;
  return out;
}

template <class T>
void sort_unique(std::vector<T>& values) {
  std::ranges::sort(values);
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

// The policies that select a pod keep its connections' first verdicts when all of them say so. One that a cluster's
// administrator made never does: a tenant's annotation must not outlive a Deny.
bool keeps_established(const Profile& profile) {
  bool any = false;
  for (const Selection* selection : profile.selections) {
    for (const PolicyState* policy : selection->subjects) {
      if (std::holds_alternative<ClusterNetworkPolicy>(*policy->object)) return false;
      const auto* network = std::get_if<NetworkPolicy>(policy->object.get());
      if (network == nullptr) continue;
      if (!network->keep_established) return false;
      any = true;
    }
  }
  return any;
}

}  // namespace

struct Compiler::State {
  explicit State(Options wanted)
      : options(std::move(wanted)),
        peers(options.first_identity),
        addresses(peers),
        policies(peers),
        sets(peers, std::max<SetId>(options.first_set, kOpen + 1)),
        pods(peers, addresses, options.node_name) {
    options.limits.rules = std::min(options.limits.rules, kMostRules);
  }

  // Everything that an object says, as one step with others: nothing is published before publish().
  void put(const ObjectRef& object);
  void take(const ObjectKey& key);
  void relocate(const ObjectRef& object);
  void remember(const ObjectKey& key);
  void recompute();
  void publish();
  void roll_back();
  [[nodiscard]] std::optional<Error> over_limit() const;

  void choose_sets(Profile& profile, std::set<ObjectKey>& touched);
  void choose_host_sets();
  [[nodiscard]] SetRecord* hold_set(std::optional<SetKey> key, SetRecord* old, const std::string& whose);

  Options options;
  PeerIndex peers;
  AddressTable addresses;
  PolicyTable policies;
  SetTable sets;
  PodTable pods;
  EndpointTable endpoints;
  SetRecord* host_ingress = nullptr;
  SetRecord* host_egress = nullptr;

  // Of the present step.
  std::map<ObjectKey, ObjectRef> before;  // what changed objects were; null: absent
  std::vector<IdentityRecord*> identities;
  Profiles profiles;
  std::optional<Error> failure;
};

void Compiler::State::remember(const ObjectKey& key) {
  if (before.contains(key)) return;
  if (!is_policy(key.kind)) {
    before.emplace(key, pods.find(key));
  } else {
    const PolicyState* policy = policies.find(key);
    before.emplace(key, policy == nullptr ? nullptr : policy->object);
  }
}

void Compiler::State::put(const ObjectRef& object) {
  const ObjectKey key = key_of(*object);
  remember(key);
  is_policy(key.kind) ? policies.put(key, object) : pods.put(key, object);
}

void Compiler::State::take(const ObjectKey& key) {
  remember(key);
  is_policy(key.kind) ? policies.take(key) : pods.take(key);
}

void Compiler::State::relocate(const ObjectRef& object) {
  const ObjectKey key = key_of(*object);
  remember(key);
  is_policy(key.kind) ? policies.relocate(key, object) : pods.relocate(key, object);
}

// The set that the key describes, held in exchange for the old one; the old one where a limit does not let it be.
SetRecord* Compiler::State::hold_set(std::optional<SetKey> key, SetRecord* old, const std::string& whose) {
  SetRecord* set = nullptr;
  if (key) {
    if (const std::size_t rules = count_rules(*key); rules > options.limits.rules) {
      if (!failure) {
        failure = exhausted(
            "rules", rules, options.limits.rules, "rules in one set for " + whose,
            "select fewer pods by the policies with most rules, or merge rules that differ in peers or ports only");
      }
      return old;
    }
    set = sets.hold(std::move(*key));
  }
  if (old != nullptr) sets.release(*old);
  return set;
}

void Compiler::State::choose_sets(Profile& profile, std::set<ObjectKey>& touched) {
  const auto before_sets = std::tuple(profile.ingress, profile.egress, profile.keep_established);
  std::optional<SetKey> ingress, egress;
  std::string name;
  if (!profile.endpoints.empty()) {
    ingress = pod_rules(profile, Direction::ingress);
    egress = pod_rules(profile, Direction::egress);
    profile.keep_established = keeps_established(profile);
    name = describe(key_of(*(*profile.endpoints.begin())->object));
  }
  profile.ingress = hold_set(std::move(ingress), profile.ingress, name);
  profile.egress = hold_set(std::move(egress), profile.egress, name);
  if (before_sets == std::tuple(profile.ingress, profile.egress, profile.keep_established)) return;
  for (const PodState* pod : profile.endpoints)
    touched.insert(key_of(*pod->object));
}

void Compiler::State::choose_host_sets() {
  std::vector<const PolicyState*> selected;
  PlanEndpoint host;
  bool every_interface = false;
  std::vector<Prefix> deny;
  for (const auto& [key, policy] : policies.all()) {
    if (!policy.selects_host) continue;
    const auto& host_policy = std::get<HostPolicy>(*policy.object);
    selected.push_back(&policy);
    every_interface = every_interface || host_policy.interfaces.empty();
    host.host_interfaces.insert(host.host_interfaces.end(), host_policy.interfaces.begin(),
                                host_policy.interfaces.end());
    deny.insert(deny.end(), host_policy.deny.begin(), host_policy.deny.end());
  }
  host_ingress = hold_set(host_rules(selected, Direction::ingress), host_ingress, "the host");
  host_egress = hold_set(host_rules(selected, Direction::egress), host_egress, "the host");
  sort_unique(deny);
  endpoints.put_deny(std::move(deny));
  if (selected.empty()) {
    endpoints.take(kHostName);
    return;
  }
  sort_unique(host.host_interfaces);
  if (every_interface) host.host_interfaces.clear();
  host.name = kHostName;
  host.kind = EndpointKind::host;
  if (host_ingress != nullptr) host.ingress = host_ingress->content.id;
  if (host_egress != nullptr) host.egress = host_egress->content.id;
  endpoints.put(std::move(host));
}

// In the order in which one thing depends on the other: which pods are endpoints, which policies matter to them, which
// blocks these use, which identities addresses have therefore, what named ports mean, which rules endpoints have.
void Compiler::State::recompute() {
  std::set<ObjectKey> touched = pods.settle(profiles);
  for (const Profile* profile : profiles)
    policies.recheck(*profile);
  bool host_touched = policies.take_host_touched() | pods.take_own_node_touched();
  const bool has_host = !options.node_name.empty();
  policies.activate(pods.own_node(), has_host && host_touched);
  touched.merge(addresses.settle());
  for (IdentityRecord* identity : peers.take_changed_identities()) {
    identities.push_back(identity);
    policies.recount(*identity);
  }
  profiles.merge(policies.take_touched());
  host_touched |= policies.take_host_touched();
  for (Profile* profile : profiles)
    choose_sets(*profile, touched);
  if (has_host && host_touched) choose_host_sets();
  for (const ObjectKey& key : touched) {
    if (const PodState* pod = pods.find_endpoint(key)) {
      endpoints.put(pods.endpoint(*pod));
    } else if (key.kind == ObjectKey::Kind::pod) {
      endpoints.take(key.name_space + "/" + key.name);
    }
  }
  if (failure) return;
  if (!sets.add_rows(identities, options.limits.rows)) {
    failure = exhausted("rows", options.limits.rows + 1UL, options.limits.rows, "rows of peers or more",
                        "use fewer policies with peers of their own for the pods of this node, or raise the limit");
  }
}

std::optional<Error> Compiler::State::over_limit() const {
  if (failure) return failure;
  const CompilerLimits& limits = options.limits;
  struct Check {
    const char* name;
    std::size_t used, allowed;
    const char* what;
    const char* hint;
  };
  const std::array<Check, 8> checks{{
      {"identities", peers.pods() + peers.others(), limits.identities, "identities of peers",
       "use fewer different selectors and CIDRs in policies for the pods of this node, or raise "
       "policy.limits.identities"},
      {"cidrs", addresses.regions(), limits.cidrs, "different prefixes of ipBlock, except and networks",
       "merge neighbouring prefixes, or raise policy.limits.cidrs"},
      {"addresses", addresses.claims().size(), limits.addresses, "addresses of pods and nodes",
       "the cluster is larger than this node can know"},
      {"total_rules", sets.rules(), limits.total_rules, "rules of all pods together",
       "merge rules that differ in peers or ports only, or raise policy.limits.total_rules"},
      {"sets", sets.sets(), limits.sets, "rule sets", "pods that the same policies select share a set"},
      {"rows", sets.rows(identities), limits.rows, "rows of peers",
       "use fewer policies with peers of their own for the pods of this node"},
      {"endpoints", endpoints.size(), limits.endpoints, "endpoints", "there are too many pods on this node"},
      {"deny", endpoints.deny_entries(), limits.deny, "prefixes in the deny list",
       "merge neighbouring prefixes, or raise policy.limits.deny"},
  }};
  for (const Check& check : checks) {
    if (check.used > check.allowed) return exhausted(check.name, check.used, check.allowed, check.what, check.hint);
  }
  return std::nullopt;
}

void Compiler::State::publish() {
  sets.publish();
  for (IdentityRecord* identity : identities)
    identity->published = identity->counted;
  endpoints.forget_changes();
  sets.sweep(identities);
  policies.sweep();
  identities.clear();
  peers.sweep();
  before.clear();
  profiles.clear();
  failure.reset();
}

void Compiler::State::roll_back() {
  for (const auto& [key, object] : std::exchange(before, {})) {
    if (object == nullptr) {
      is_policy(key.kind) ? policies.take(key) : pods.take(key);
    } else {
      is_policy(key.kind) ? policies.put(key, object) : pods.put(key, object);
    }
  }
  failure.reset();
  recompute();
  addresses.forget_undone_changes();
  publish();
}

Compiler::Compiler(Options options) : state_(std::make_unique<State>(std::move(options))) {}
Compiler::~Compiler() = default;
Compiler::Compiler(Compiler&&) noexcept = default;
Compiler& Compiler::operator=(Compiler&&) noexcept = default;

Result<PlanUpdate> Compiler::apply(const Changes& changes) {
  State& state = *state_;
  for (const ObjectKey& key : changes.removals)
    state.take(key);
  for (const ObjectRef& object : changes.upserts)
    state.put(object);
  for (const ObjectRef& object : changes.relocated)
    state.relocate(object);
  state.recompute();
  if (std::optional<Error> error = state.over_limit()) {
    state.roll_back();
    return *std::move(error);
  }
  PlanUpdate update;
  state.sets.write_changes(update, state.identities);
  state.addresses.write_changes(update);
  state.endpoints.write_changes(update);
  state.addresses.forget_changes();
  state.publish();
  return update;
}

PlanUpdate Compiler::everything() const {
  PlanUpdate update;
  state_->sets.write_all(update);
  state_->addresses.write_all(update);
  state_->endpoints.write_all(update);
  return update;
}

CompilerUse Compiler::use() const {
  const State& state = *state_;
  return {.rules = state.sets.most_rules(),
          .total_rules = state.sets.rules(),
          .identities = state.peers.pods() + state.peers.others(),
          .cidrs = state.addresses.regions(),
          .addresses = state.addresses.claims().size(),
          .sets = state.sets.sets(),
          .rows = state.sets.rows({}),
          .endpoints = state.endpoints.size(),
          .deny = state.endpoints.deny_entries()};
}

const CompilerLimits& Compiler::limits() const { return state_->options.limits; }

const RuleOrigin* Compiler::rule_origin(std::uint32_t index) const { return state_->policies.origin(index); }

const ObjectKey* Compiler::holder(const Address& address) const { return state_->addresses.holder(address); }

std::vector<ObjectRef> Compiler::selecting(const ObjectKey& pod, Direction direction) const {
  const PodState* endpoint = state_->pods.find_endpoint(pod);
  if (endpoint == nullptr || endpoint->profile == nullptr) return {};
  std::map<ObjectKey, ObjectRef> out;
  for (const Selection* selection : endpoint->profile->selections) {
    for (const PolicyState* policy : selection->subjects) {
      const Part* part = direction == Direction::ingress ? policy->ingress : policy->egress;
      const bool isolates = std::holds_alternative<NetworkPolicy>(*policy->object);
      if (part != nullptr && (isolates || !part->source.empty())) out.emplace(key_of(*policy->object), policy->object);
    }
  }
  std::vector<ObjectRef> objects;
  for (auto& [key, object] : out)
    objects.push_back(std::move(object));
  return objects;
}

std::vector<Compiler::Conflict> Compiler::conflicts() const {
  std::vector<Conflict> out;
  for (const Address& address : state_->addresses.contested()) {
    Conflict& conflict = out.emplace_back(Conflict{.address = address, .claimants = {}});
    for (const Claimant& claimant : state_->addresses.claims().at(address))
      conflict.claimants.push_back(claimant.who);
  }
  return out;
}

}  // namespace omnitide::policy
