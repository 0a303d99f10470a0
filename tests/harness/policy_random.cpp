#include "tests/harness/policy_random.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace omnitide::policy::random_objects {

namespace {

const std::vector<std::string> kNamespaces{"n0", "n1", "n2"};
const std::vector<std::string> kPodKeys{"app", "tier"};
const std::vector<std::string> kNamespaceKeys{"team", "kubernetes.io/metadata.name"};
const std::vector<std::string> kValues{"a", "b", "c"};
const std::vector<std::string> kPortNames{"http", "dns"};
const std::vector<std::string> kNodes{"node-a", "node-b"};
constexpr std::array<std::uint16_t, 6> kPorts{53, 80, 81, 8080, 1, 65535};
constexpr unsigned kAddresses = 16;  // of each family

Address next(const Address& address, int step) {
  Address out = address;
  for (std::size_t i = out.bytes.size(); i-- > 0;) {
    out.bytes[i] = static_cast<std::uint8_t>(out.bytes[i] + step);
    if (out.bytes[i] != (step > 0 ? 0 : 0xff)) break;
  }
  return out;
}

Address last_of(const Prefix& prefix) {
  Address out = prefix.address;
  for (unsigned i = prefix.length; i < 128; ++i)
    out.bytes[i / 8] = static_cast<std::uint8_t>(out.bytes[i / 8] | (0x80U >> (i % 8)));
  return out;
}

template <class Visit>
void for_each_rule(const Object& object, Visit&& visit) {
  std::visit(
      [&](const auto& value) {
        if constexpr (requires { value.ingress; }) {
          std::ranges::for_each(value.ingress, visit);
          std::ranges::for_each(value.egress, visit);
        }
      },
      object);
}

}  // namespace

std::string Generator::pick(const std::vector<std::string>& words) {
  return words[below(static_cast<unsigned>(words.size()))];
}

Labels Generator::labels() {
  Labels out;
  for (const std::string& key : kPodKeys) {
    if (chance(60)) out.emplace_back(key, pick(kValues));
  }
  return out;
}

Selector Generator::selector(const std::vector<std::string>& keys) {
  Selector out;
  const unsigned count = chance(25) ? 0 : 1 + below(2);
  for (unsigned i = 0; i < count; ++i) {
    Requirement requirement;
    requirement.key = pick(keys);
    requirement.op = static_cast<Operator>(below(4));
    if (requirement.op == Operator::in || requirement.op == Operator::not_in) {
      std::set<std::string> values{pick(kValues)};
      if (chance(40)) values.insert(pick(kValues));
      if (requirement.key.find('/') != std::string::npos) values = {pick(kNamespaces)};
      requirement.values.assign(values.begin(), values.end());
    }
    out.requirements.push_back(std::move(requirement));
  }
  return out;
}

Selector Generator::namespace_selector() { return selector(kNamespaceKeys); }
Selector Generator::pod_selector() { return selector(kPodKeys); }

Protocol Generator::protocol() {
  constexpr std::array<Protocol, 4> kAll{Protocol::tcp, Protocol::udp, Protocol::sctp, Protocol::tcp};
  return kAll[below(kAll.size())];
}

// Some lie near each other, some far away.
Address Generator::address(bool v4) {
  Address out;
  if (v4) {
    out = *parse_address(chance(85) ? "10.0.0.0" : "192.0.2.0");
  } else {
    out = *parse_address(chance(85) ? "fd00::" : "2001:db8::");
  }
  out.bytes[15] = static_cast<std::uint8_t>(below(kAddresses));
  return out;
}

Block Generator::block() {
  constexpr std::array<std::uint8_t, 8> kLengths{0, 8, 24, 28, 29, 30, 31, 32};
  constexpr std::array<std::uint8_t, 8> kLengths6{0, 16, 64, 124, 125, 126, 127, 128};
  const bool v4 = chance(65);
  const auto length = static_cast<std::uint8_t>(v4 ? 96U + kLengths[below(8)] : kLengths6[below(8)]);
  Block out{.cidr = make_prefix(address(v4), length), .except = {}};
  const unsigned count = below(3);
  for (unsigned i = 0; i < count && out.cidr.length < 128; ++i) {
    Prefix except = make_prefix(address(v4), static_cast<std::uint8_t>(128U - below(6)));
    if (out.cidr.contains(except) && except != out.cidr) out.except.push_back(except);
  }
  std::ranges::sort(out.except);
  return out;
}

Peer Generator::peer(const std::string& name_space, bool cluster) {
  Peer out;
  const unsigned kind = below(100);
  if (kind < 40) {
    out.kind = Peer::Kind::blocks;
    const unsigned count = cluster ? 1 + below(2) : 1;
    for (unsigned i = 0; i < count; ++i)
      out.blocks.push_back(block());
  } else if (kind < 46 && cluster) {
    out.kind = Peer::Kind::unknown;
  } else if (kind < 56 && cluster) {
    out.kind = Peer::Kind::nodes;
    out.nodes = pod_selector();
  } else if (kind < 70 && !cluster) {
    out.name_space = name_space;
    out.pods = pod_selector();
  } else {
    out.namespaces = chance(20) ? Selector{} : namespace_selector();
    out.pods = chance(40) ? Selector{} : pod_selector();
  }
  return out;
}

PortMatch Generator::port(bool cluster) {
  PortMatch out;
  out.protocol = protocol();
  const unsigned kind = below(100);
  if (kind < 20) return out;
  if (kind < 45) {
    out.name = pick(kPortNames);
    if (cluster) out.protocol = Protocol::any;
    return out;
  }
  out.first = out.last = kPorts[below(kPorts.size())];
  if (kind > 70)
    out.last = std::max(out.first, static_cast<std::uint16_t>(kPorts[below(kPorts.size())] + below(3) * 7));
  if (out.last < out.first) out.last = out.first;
  return out;
}

Rule Generator::rule(const std::string& name_space, bool cluster) {
  Rule out;
  if (cluster) out.action = static_cast<Action>(below(3));
  out.any_peer = !cluster && chance(20);
  const unsigned peers = out.any_peer ? 0 : 1 + below(2);
  for (unsigned i = 0; i < peers; ++i)
    out.peers.push_back(peer(name_space, cluster));
  const unsigned ports = chance(30) ? 0 : 1 + below(3);
  for (unsigned i = 0; i < ports; ++i)
    out.ports.push_back(port(cluster));
  return out;
}

std::vector<Rule> Generator::rules(const std::string& name_space, bool cluster) {
  std::vector<Rule> out;
  const unsigned count = below(4);
  for (unsigned i = 0; i < count; ++i)
    out.push_back(rule(name_space, cluster));
  return out;
}

Object Generator::pod() {
  Pod out;
  out.name_space = pick(kNamespaces);
  out.name = "p" + std::to_string(below(6));
  out.labels = labels();
  out.node = chance(70) ? kNodeName : "node-b";
  if (chance(90)) out.addresses.push_back(address(true));
  if (chance(35)) out.addresses.push_back(address(false));
  if (chance(20)) std::ranges::reverse(out.addresses);
  const unsigned ports = below(3);
  for (unsigned i = 0; i < ports; ++i)
    out.ports.push_back({.name = pick(kPortNames), .protocol = protocol(), .number = kPorts[below(4)]});
  std::ranges::sort(out.ports);
  out.host_network = chance(8);
  out.finished = chance(8);
  out.any_source = chance(10);
  return out;
}

Object Generator::node() {
  Node out;
  out.name = pick(kNodes);
  out.labels = labels();
  if (chance(80)) out.addresses.push_back(address(true));
  if (chance(30)) out.addresses.push_back(address(false));
  return out;
}

Object Generator::name_space() {
  Namespace out;
  out.name = pick(kNamespaces);
  out.labels.emplace_back("kubernetes.io/metadata.name", out.name);
  if (chance(70)) out.labels.emplace_back("team", pick(kValues));
  return out;
}

Object Generator::network_policy() {
  NetworkPolicy out;
  out.name_space = pick(kNamespaces);
  out.name = "np" + std::to_string(below(5));
  out.pods = pod_selector();
  out.ingress = rules(out.name_space, false);
  out.egress = rules(out.name_space, false);
  out.isolates_ingress = chance(75);
  out.isolates_egress = chance(55);
  out.keep_established = chance(50);
  return out;
}

Object Generator::cluster_policy() {
  ClusterNetworkPolicy out;
  out.name = "cnp" + std::to_string(below(4));
  out.tier = chance(60) ? Tier::admin : Tier::baseline;
  out.priority = static_cast<std::uint16_t>(below(3));
  out.subject_namespaces = chance(50) ? Selector{} : namespace_selector();
  out.subject_pods = chance(50) ? Selector{} : pod_selector();
  out.ingress = rules({}, true);
  out.egress = rules({}, true);
  return out;
}

Object Generator::host_policy() {
  HostPolicy out;
  out.name = "hp" + std::to_string(below(2));
  out.nodes = chance(60) ? Selector{} : pod_selector();
  out.isolates_ingress = chance(80);
  out.isolates_egress = chance(40);
  if (chance(50)) out.deny.push_back(block().cidr);
  if (chance(50)) out.fail_safe_ingress.push_back({.protocol = Protocol::tcp, .first = 22, .last = 22, .name = {}});
  if (chance(30)) out.fail_safe_egress.push_back(port(false));
  for (std::vector<Rule>* rules : {&out.ingress, &out.egress}) {
    const unsigned count = below(3);
    for (unsigned i = 0; i < count; ++i) {
      Rule made = rule({}, false);
      std::erase_if(made.peers, [](const Peer& one) { return one.kind != Peer::Kind::blocks; });
      made.any_peer = made.peers.empty();
      rules->push_back(std::move(made));
    }
  }
  return out;
}

Object Generator::object(ObjectKey::Kind kind) {
  switch (kind) {
    case ObjectKey::Kind::name_space: return name_space();
    case ObjectKey::Kind::pod: return pod();
    case ObjectKey::Kind::node: return node();
    case ObjectKey::Kind::network_policy: return network_policy();
    case ObjectKey::Kind::cluster_network_policy: return cluster_policy();
    case ObjectKey::Kind::host_policy: return host_policy();
  }
  return {};
}

std::map<ObjectKey, ObjectRef> Generator::objects() {
  using Kind = ObjectKey::Kind;
  std::map<ObjectKey, ObjectRef> out;
  const auto add = [&](Kind kind, unsigned most) {
    const unsigned count = below(most + 1);
    for (unsigned i = 0; i < count; ++i) {
      auto made = std::make_shared<const Object>(object(kind));
      out.insert_or_assign(key_of(*made), std::move(made));
    }
  };
  add(Kind::name_space, 5);
  add(Kind::pod, 10);
  add(Kind::node, 3);
  add(Kind::network_policy, 6);
  add(Kind::cluster_network_policy, chance(60) ? 4 : 0);
  add(Kind::host_policy, chance(40) ? 2 : 0);
  return out;
}

Changes Generator::change(std::map<ObjectKey, ObjectRef>& state) {
  constexpr std::array<ObjectKey::Kind, 10> kKinds{ObjectKey::Kind::pod,
                                                   ObjectKey::Kind::pod,
                                                   ObjectKey::Kind::pod,
                                                   ObjectKey::Kind::pod,
                                                   ObjectKey::Kind::network_policy,
                                                   ObjectKey::Kind::network_policy,
                                                   ObjectKey::Kind::cluster_network_policy,
                                                   ObjectKey::Kind::name_space,
                                                   ObjectKey::Kind::node,
                                                   ObjectKey::Kind::host_policy};
  Changes out;
  std::set<ObjectKey> changed;
  const unsigned count = 1 + below(3);
  for (unsigned i = 0; i < count; ++i) {
    if (!state.empty() && chance(35)) {
      auto victim = state.begin();
      std::advance(victim, below(static_cast<unsigned>(state.size())));
      if (!changed.insert(victim->first).second) continue;
      out.removals.push_back(victim->first);
      state.erase(victim);
      continue;
    }
    auto made = std::make_shared<const Object>(object(kKinds[below(kKinds.size())]));
    if (!changed.insert(key_of(*made)).second) continue;
    state.insert_or_assign(key_of(*made), made);
    out.upserts.push_back(std::move(made));
  }
  return out;
}

std::vector<Address> Generator::addresses(const std::map<ObjectKey, ObjectRef>& objects) {
  std::set<Address> out{*parse_address("198.51.100.7"), *parse_address("2001:db8:ffff::1")};
  const auto add_borders = [&out](const Prefix& prefix) {
    const Address last = last_of(prefix);
    for (const Address& address : {prefix.address, next(prefix.address, -1), last, next(last, 1)})
      out.insert(address);
  };
  for (const auto& [key, object] : objects) {
    if (const auto* pod = std::get_if<Pod>(object.get())) out.insert(pod->addresses.begin(), pod->addresses.end());
    if (const auto* node = std::get_if<Node>(object.get())) out.insert(node->addresses.begin(), node->addresses.end());
    if (const auto* host = std::get_if<HostPolicy>(object.get())) std::ranges::for_each(host->deny, add_borders);
    for_each_rule(*object, [&](const Rule& rule) {
      for (const Peer& peer : rule.peers) {
        for (const Block& block : peer.blocks) {
          add_borders(block.cidr);
          std::ranges::for_each(block.except, add_borders);
        }
      }
    });
  }
  return {out.begin(), out.end()};
}

std::vector<Generator::Probe> Generator::probes(const std::map<ObjectKey, ObjectRef>& objects) {
  std::set<std::uint16_t> ports{1, 53, 80, 443, 65535};
  for (const auto& [key, object] : objects) {
    if (const auto* pod = std::get_if<Pod>(object.get())) {
      for (const NamedPort& port : pod->ports)
        ports.insert(port.number);
    }
    for_each_rule(*object, [&](const Rule& rule) {
      for (const PortMatch& port : rule.ports) {
        if (port.last == 0) continue;
        for (const int edge : {port.first - 1, port.first + 0, port.last + 0, port.last + 1}) {
          if (edge > 0 && edge <= 65535) ports.insert(static_cast<std::uint16_t>(edge));
        }
      }
    });
  }
  std::vector<Probe> out{{.protocol = Protocol::icmp, .port = 0}, {.protocol = Protocol::icmpv6, .port = 0}};
  for (const std::uint16_t port : ports) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp, Protocol::sctp})
      out.push_back({.protocol = protocol, .port = port});
  }
  return out;
}

}  // namespace omnitide::policy::random_objects
