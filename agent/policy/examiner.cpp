#include "agent/policy/examiner.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "agent/base/text.hpp"

namespace omnitide::policy {

namespace {

constexpr std::uint8_t kAllBits = 128;
constexpr std::size_t kMostAnswers = 1U << 18U;  // remembered: some 25 MiB

bool waits_for_address(const Pod& pod) { return pod.addresses.empty() && !pod.host_network && !pod.finished; }

// The last address of a prefix.
Address last_of(const Prefix& prefix) {
  Address out = prefix.address;
  for (std::size_t bit = prefix.length; bit < kAllBits; ++bit)
    out.bytes[bit / 8] = static_cast<std::uint8_t>(out.bytes[bit / 8] | (0x80U >> (bit % 8)));
  return out;
}

// nullopt behind the last one of all.
std::optional<Address> next(Address address) {
  for (auto byte = address.bytes.rbegin(); byte != address.bytes.rend(); ++byte) {
    if (++*byte != 0) return address;
  }
  return std::nullopt;
}

Protocol of_family(Protocol protocol, bool v4) {
  const bool icmp = protocol == Protocol::icmp || protocol == Protocol::icmpv6;
  return !icmp ? protocol : v4 ? Protocol::icmp : Protocol::icmpv6;
}

std::optional<std::size_t> index_of(const End& end, bool v4) {
  const auto found = std::ranges::find(end.addresses, v4, &Address::is_v4);
  if (found == end.addresses.end()) return std::nullopt;
  return static_cast<std::size_t>(found - end.addresses.begin());
}

// Kubernetes: a node always reaches its own pods; what runs on the host's network is the node.
bool is_own_node(const End& from, const End& to) {
  return from.pod != nullptr && to.pod != nullptr && from.pod->host_network && !from.pod->node.empty() &&
         from.pod->node == to.pod->node;
}

}  // namespace

Result<Examiner> Examiner::of(std::span<const ObjectRef> objects) {
  Examiner out(Compiler(Compiler::Options{}));
  std::set<std::size_t> unaddressed_pods;
  Address free = *parse_address("100::1");
  for (const ObjectRef& object : objects) {
    const auto* pod = std::get_if<Pod>(object.get());
    if (pod == nullptr || !waits_for_address(*pod)) {
      out.objects_.push_back(object);
      continue;
    }
    Pod placed = *pod;
    placed.addresses = {free};
    free = *next(free);
    unaddressed_pods.insert(out.objects_.size());
    out.objects_.push_back(std::make_shared<const Object>(std::move(placed)));
  }
  Result<PlanUpdate> update = out.compiler_.apply({.upserts = out.objects_, .removals = {}, .relocated = {}});
  if (update.has_error()) return std::move(update).error();
  out.plan_.apply(*update);
  out.find_classes();
  for (std::size_t i = 0; i < out.objects_.size(); ++i) {
    const auto* pod = std::get_if<Pod>(out.objects_[i].get());
    if (pod == nullptr || pod->finished) continue;
    End end;
    end.name = pod->name_space + "/" + pod->name;
    end.pod = pod;
    end.unaddressed = unaddressed_pods.contains(i);
    end.endpoint = out.plan_.endpoint(end.name);
    end.addresses = end.endpoint != nullptr ? end.endpoint->addresses : pod->addresses;
    for (const Address& address : end.addresses)
      end.identities.push_back(out.plan_.identity(address));
    out.pods_.push_back(std::move(end));
  }
  std::ranges::sort(out.pods_, {}, &End::name);
  for (std::size_t i = 0; i < out.pods_.size(); ++i) {
    if (out.pods_[i].endpoint == nullptr) continue;
    for (const Address& address : out.pods_[i].addresses)
      out.pod_at_.emplace(address, i);
  }
  return out;
}

// An identity means to a packet's verdict what its rows say, and where it has none, what all others' row says.
void Examiner::find_classes() {
  std::unordered_map<IdentityId, std::string> rows;
  const auto append = [](std::string& out, const auto& value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  for (const auto& [id, set] : plan_.sets()) {
    for (const auto& [identity, bits] : set.rows) {
      std::string& text = rows[identity];
      append(text, id);
      append(text, bits.size());
      for (const std::uint16_t bit : bits)
        append(text, bit);
    }
  }
  std::unordered_map<std::string, std::uint32_t> numbers;
  for (const auto& [identity, text] : rows)
    classes_[identity] = numbers.try_emplace(text, static_cast<std::uint32_t>(numbers.size()) + 1).first->second;
}

std::uint32_t Examiner::peer_class(IdentityId identity) const {
  const auto found = classes_.find(identity);
  const std::uint32_t number = found == classes_.end() ? 0 : found->second;
  return number * 2U + ((identity & kPodBit) != 0 ? 1U : 0U);
}

End Examiner::end_at(const Address& address, std::string name) const {
  if (const auto found = pod_at_.find(address); found != pod_at_.end()) return pods_[found->second];
  End out;
  out.name = std::move(name);
  out.addresses = {address};
  out.identities = {plan_.identity(address)};
  return out;
}

// What rules see changes only where a prefix that they know begins, or behind its end.
std::set<Address> Examiner::borders(const Prefix& block) const {
  std::set<Address> borders{block.address};
  for (const auto& [prefix, identity] : plan_.locations()) {
    if (!block.contains(prefix) || prefix.is_v4() != block.is_v4()) continue;
    borders.insert(prefix.address);
    const std::optional<Address> behind = next(last_of(prefix));
    if (behind && block.contains(*behind)) borders.insert(*behind);
  }
  return borders;
}

std::vector<End> Examiner::parts_of(const Prefix& block) const {
  std::vector<End> out;
  std::set<std::string> pods;
  std::set<IdentityId> seen;
  for (const Address& address : borders(block)) {
    End end = end_at(address, format(address));
    if (end.pod != nullptr ? !pods.insert(end.name).second : !seen.insert(end.identities.front()).second) continue;
    out.push_back(std::move(end));
  }
  if (out.size() == 1 && out.front().pod == nullptr) out.front().name = format(block);
  return out;
}

Result<std::vector<End>> Examiner::find(std::string_view text) const {
  if (const auto address = parse_address(text)) return std::vector<End>{end_at(*address, format(*address))};
  if (const auto block = parse_prefix(text)) return parts_of(*block);
  const auto found = std::ranges::find(pods_, text, &End::name);
  if (found != pods_.end()) return std::vector<End>{*found};
  if (text.find('/') == std::string_view::npos)
    return fail(Code::invalid_argument,
                fmt::format("\"{}\" is neither NAMESPACE/POD nor an address nor a CIDR", printable(text, 80)))
        .with_hint("write the namespace too, as in default/" + printable(text, 80));
  std::vector<std::string> names;
  for (const End& end : pods_)
    names.push_back(end.name);
  const std::string_view near = nearest(text, names);
  Error error = fail(Code::not_found, fmt::format("there is no pod {} that is alive", printable(text, 80)));
  error.hint = near.empty() ? "write NAMESPACE/POD, an address or a CIDR" : fmt::format("did you mean {}?", near);
  return error;
}

std::set<Address> Examiner::borders() const {
  std::set<Address> out = borders(*parse_prefix("0.0.0.0/0"));
  out.merge(borders(*parse_prefix("::/0")));
  return out;
}

std::optional<std::uint16_t> Examiner::named_port(const End& to, std::string_view name, Protocol protocol) {
  if (to.pod == nullptr) return std::nullopt;
  for (const NamedPort& port : to.pod->ports) {
    if (port.name == name && port.protocol == protocol) return port.number;
  }
  return std::nullopt;
}

std::vector<bool> Examiner::common_families(const End& from, const End& to) {
  std::vector<bool> out;
  for (const bool v4 : {true, false}) {
    if (index_of(from, v4) && index_of(to, v4)) out.push_back(v4);
  }
  if (!out.empty() || (!from.unaddressed && !to.unaddressed)) return out;
  // A pod without an address may get one of either family: that of the other end.
  const End& other = from.unaddressed ? to : from;
  if (other.addresses.empty()) return out;  // on the host's network, and its node's address is not known
  out.push_back(index_of(other, true).has_value());
  return out;
}

Verdict Examiner::judge(const End& subject, Direction direction, IdentityId peer, Protocol protocol,
                        std::uint16_t port) {
  if (subject.endpoint == nullptr) return {};
  const SetId set = direction == Direction::ingress ? subject.endpoint->ingress : subject.endpoint->egress;
  if (answers_.size() >= kMostAnswers) answers_.clear();
  const auto [at, fresh] = answers_.try_emplace(Question{set, peer, protocol, port});
  if (fresh) at->second = plan_.judge(set, peer, static_cast<std::uint8_t>(protocol), port);
  return at->second;
}

std::optional<Answer> Examiner::ask(const End& from, const End& to, Protocol protocol, std::uint16_t port,
                                    std::optional<bool> v4) {
  const std::vector<bool> families = common_families(from, to);
  if (families.empty()) return std::nullopt;
  const bool family = v4.value_or(families.front());
  const std::size_t source = index_of(from, family).value_or(0), destination = index_of(to, family).value_or(0);
  Answer out;
  if (from.pod != nullptr && from.pod == to.pod) {
    out.egress.reason = out.ingress.reason = Verdict::Reason::self;
    return out;
  }
  const Protocol wire = of_family(protocol, family);
  out.egress = judge(from, Direction::egress, to.identities[destination], wire, port);
  out.ingress = judge(to, Direction::ingress, from.identities[source], wire, port);
  if (is_own_node(from, to) && to.endpoint != nullptr) out.ingress = {.reason = Verdict::Reason::own_node};
  return out;
}

std::vector<Examiner::RuleView> Examiner::rules(const End& subject, Direction direction, const End& peer,
                                                Protocol protocol, std::uint16_t port, bool v4) const {
  if (subject.endpoint == nullptr) return {};
  const SetId id = direction == Direction::ingress ? subject.endpoint->ingress : subject.endpoint->egress;
  if (id == kOpen) return {};
  const auto number = static_cast<std::uint8_t>(of_family(protocol, v4));
  const IdentityId identity = peer.identities[index_of(peer, v4).value_or(0)];
  const Plan::Set& set = plan_.sets().at(id);
  const Bits& peers = plan_.peer_row(set, identity);
  const Bits& ports = Plan::port_row(set, number, port);
  const Verdict verdict = plan_.judge(id, identity, number, port);
  std::vector<RuleView> out;
  std::map<std::uint32_t, std::size_t> at;  // a rule with named ports has several places in the set
  for (std::uint16_t i = 0; i < set.rules.rules.size(); ++i) {
    const std::uint32_t origin = set.rules.rules[i].origin;
    const auto [place, fresh] = at.emplace(origin, out.size());
    if (fresh) out.push_back({.origin = compiler_.rule_origin(origin)});
    RuleView& view = out[place->second];
    view.peer |= std::ranges::binary_search(peers, i);
    view.port |= std::ranges::binary_search(ports, i);
    view.decides |= verdict.reason == Verdict::Reason::rule && verdict.rule == i;
  }
  return out;
}

std::vector<ObjectRef> Examiner::selecting(const End& end, Direction direction) const {
  return end.pod == nullptr
             ? std::vector<ObjectRef>{}
             : compiler_.selecting({ObjectKey::Kind::pod, end.pod->name_space, end.pod->name}, direction);
}

}  // namespace omnitide::policy
