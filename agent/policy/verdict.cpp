#include "agent/policy/verdict.hpp"

#include <algorithm>

namespace omnitide::policy {

namespace {

constexpr std::uint8_t kHostBits = 128;
constexpr unsigned kPortBits = 16;
const Bits kNoBits;

bool covers(const PortRow& row, std::uint8_t protocol, std::uint16_t port) {
  if (row.protocol == 0) return true;
  if (row.protocol != protocol) return false;
  return row.length == 0 || ((row.port ^ port) >> (kPortBits - row.length)) == 0;
}

// The first rule in both, from `from` on.
std::optional<std::uint16_t> first_in_both(const Bits& left, const Bits& right, std::uint16_t from) {
  auto a = std::ranges::lower_bound(left, from);
  auto b = std::ranges::lower_bound(right, from);
  while (a != left.end() && b != right.end()) {
    if (*a == *b) return *a;
    if (*a < *b) {
      ++a;
    } else {
      ++b;
    }
  }
  return std::nullopt;
}

}  // namespace

void Plan::apply(const PlanUpdate& update) {
  apply_sets(update);
  apply_locations(update);
  apply_endpoints(update);
  apply_gone(update);
}

void Plan::apply_sets(const PlanUpdate& update) {
  for (const RuleSet& set : update.sets)
    sets_[set.id].rules = set;
  for (const PeerRow& row : update.rows)
    sets_[row.set].rows[row.identity] = row.rules;
}

void Plan::apply_locations(const PlanUpdate& update) {
  for (const Location& location : update.locations) {
    if (locations_.insert_or_assign(location.prefix, location.identity).second) ++lengths_[location.prefix.length];
  }
  for (const Prefix& prefix : update.gone_locations) {
    if (locations_.erase(prefix) > 0) --lengths_[prefix.length];
  }
}

void Plan::apply_endpoints(const PlanUpdate& update) {
  for (const std::string& name : update.gone_endpoints)
    endpoints_.erase(name);
  for (const PlanEndpoint& endpoint : update.endpoints)
    endpoints_[endpoint.name] = endpoint;
  by_address_.clear();
  for (const auto& [name, endpoint] : endpoints_) {
    for (const Address& address : endpoint.addresses)
      by_address_[address] = name;
  }
  if (update.host_deny_changed) host_deny_ = update.host_deny;
}

void Plan::apply_gone(const PlanUpdate& update) {
  for (const PeerRowKey& row : update.gone_rows) {
    if (const auto set = sets_.find(row.set); set != sets_.end()) set->second.rows.erase(row.identity);
  }
  for (const SetId set : update.gone_sets)
    sets_.erase(set);
}

IdentityId Plan::identity(const Address& address) const {
  for (int length = kHostBits; length >= 0; --length) {
    if (lengths_[static_cast<std::size_t>(length)] == 0) continue;
    const Prefix prefix = make_prefix(address, static_cast<std::uint8_t>(length));
    if (prefix.length < kMappedBits && address.is_v4()) break;  // ::/0 and its like are IPv6
    if (const auto found = locations_.find(prefix); found != locations_.end()) return found->second;
  }
  return kWorld;
}

const Bits& Plan::peer_row(const Set& set, IdentityId peer) const {
  auto row = set.rows.find(peer);
  if (row == set.rows.end()) row = set.rows.find((peer & kPodBit) != 0 ? kAnyPod : kAnyOther);
  return row == set.rows.end() ? kNoBits : row->second;
}

const Bits& Plan::port_row(const Set& set, std::uint8_t protocol, std::uint16_t port) {
  const PortRow* best = nullptr;
  const auto specific = [](const PortRow& row) { return (row.protocol == 0 ? 0 : 1) + row.length; };
  for (const PortRow& row : set.rules.ports) {
    if (covers(row, protocol, port) && (best == nullptr || specific(row) > specific(*best))) best = &row;
  }
  return best == nullptr ? kNoBits : best->rules;
}

Verdict Plan::judge(SetId id, IdentityId peer, std::uint8_t protocol, std::uint16_t port) const {
  Verdict out;
  if (id == kOpen) return out;
  const Set& set = sets_.at(id);
  const Bits& peers = peer_row(set, peer);
  const Bits& ports = port_row(set, protocol, port);
  out.set = id;
  std::uint16_t from = 0;
  while (const auto rule = first_in_both(peers, ports, from)) {
    const PlanRule& decides = set.rules.rules[*rule];
    if (decides.decision == Decision::pass) {
      from = decides.pass_to;
      continue;
    }
    out.allowed = decides.decision == Decision::accept;
    out.reason = Verdict::Reason::rule;
    out.rule = *rule;
    out.origin = decides.origin;
    return out;
  }
  out.allowed = set.rules.otherwise == Decision::accept;
  out.reason = Verdict::Reason::otherwise;
  return out;
}

Verdict Plan::judge(const PlanEndpoint& endpoint, Direction direction, const Address& peer, std::uint8_t protocol,
                    std::uint16_t port) const {
  if (std::ranges::find(endpoint.addresses, peer) != endpoint.addresses.end()) {
    Verdict self;
    self.reason = Verdict::Reason::self;
    return self;
  }
  if (endpoint.kind == EndpointKind::host &&
      std::ranges::any_of(host_deny_, [&peer](const Prefix& prefix) { return prefix.contains(peer); })) {
    Verdict denied;
    denied.allowed = false;
    denied.reason = Verdict::Reason::deny_list;
    return denied;
  }
  return judge(direction == Direction::ingress ? endpoint.ingress : endpoint.egress, identity(peer), protocol, port);
}

const PlanEndpoint* Plan::endpoint(const std::string& name) const {
  const auto found = endpoints_.find(name);
  return found == endpoints_.end() ? nullptr : &found->second;
}

const PlanEndpoint* Plan::endpoint_at(const Address& address) const {
  const auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : endpoint(found->second);
}

}  // namespace omnitide::policy
