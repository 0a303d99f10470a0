// Rules in the shape of NetworkPolicy, which HostPolicy shares. What is refused: pkg/apis/networking/validation of
// Kubernetes.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostItems = 100'000;  // of one list; the object as a whole is bounded too

std::uint16_t port_of(std::int64_t number) { return static_cast<std::uint16_t>(number); }

bool is_port_name(const Field& port) {
  return port.is_scalar() && (!port.is_plain() || type_of_word(port.word()) == WordType::text);
}

void read_named_port(Reader& reader, const Field& field, bool host, PortMatch& out) {
  const Field port = field["port"];
  const std::string_view name = port.word();
  if (host) return reader.fault(port, "must be a number: a device has no named ports");
  if (!name.empty() && std::all_of(name.begin(), name.end(), is_digit))
    return reader.fault(port, "must be a number or a name with a letter", "take the quotes away");
  const std::string_view wrong = wrong_port_name(name);
  if (!wrong.empty()) reader.fault(port, fmt::format("the port's name \"{}\" {}", printable(name, 80), wrong));
  if (field["endPort"]) reader.fault(field["endPort"], "must not be set beside a named port");
  out.name = name;
}

void read_port(Reader& reader, const Field& field, bool host, std::vector<PortMatch>& out) {
  if (!reader.map_of(field, {"protocol", "port", "endPort"})) return;
  PortMatch match;
  match.protocol = read_protocol(reader, field["protocol"]).value_or(Protocol::tcp);
  const Field port = field["port"], end = field["endPort"];
  if (!port) {
    if (end) reader.fault(end, "must not be set without a port");
  } else if (is_port_name(port)) {
    read_named_port(reader, field, host, match);
  } else if (const auto first = reader.number(port, 1, kMostPort)) {
    match.first = match.last = port_of(*first);
    if (const auto last = reader.number(end, 1, kMostPort)) {
      match.last = port_of(*last);
      if (*last < *first) reader.fault(end, fmt::format("must not be below the port {}", *first));
    }
  }
  out.push_back(std::move(match));
}

void read_exceptions(Reader& reader, const Field& list, Block& block, bool legacy) {
  if (!list || !reader.full_list(list, kMostItems)) return;
  for (const Field item : list) {
    const auto except = read_cidr(reader, item, legacy);
    if (!except) continue;
    if (!block.cidr.contains(*except) || except->length <= block.cidr.length) {
      reader.fault(item, fmt::format("{} is not a part of {}", format(*except), format(block.cidr)),
                   "an exception must lie inside the cidr and be narrower");
    }
    block.except.push_back(*except);
  }
  std::sort(block.except.begin(), block.except.end());
  block.except.erase(std::unique(block.except.begin(), block.except.end()), block.except.end());
}

void read_block(Reader& reader, const Field& field, bool legacy, Peer& peer) {
  if (!reader.map_of(field, {"cidr", "except"})) return;
  peer.kind = Peer::Kind::blocks;
  const Field cidr = field["cidr"];
  if (!cidr) return reader.missing(field, "cidr");
  const auto prefix = read_cidr(reader, cidr, legacy);
  if (!prefix) return;
  Block block{*prefix, {}};
  read_exceptions(reader, field["except"], block, legacy);
  peer.blocks.push_back(std::move(block));
}

void read_peer(Reader& reader, const Field& field, const RuleShape& shape, std::vector<Peer>& out) {
  const bool known = shape.host ? reader.map_of(field, {"ipBlock"})
                                : reader.map_of(field, {"podSelector", "namespaceSelector", "ipBlock"});
  if (!known) return;
  Peer peer;
  const Field pods = field["podSelector"], namespaces = field["namespaceSelector"], block = field["ipBlock"];
  if (!pods && !namespaces && !block) {
    // An unknown name was reported already; an empty peer was not.
    if (field.size() == 0 || reader.good()) {
      reader.fault(field, "must say which peer",
                   shape.host ? "write ipBlock" : "write podSelector, namespaceSelector or ipBlock");
    }
    return;
  }
  if (block) {
    if (pods || namespaces) reader.fault(field, "must not have both ipBlock and a selector", "make them two peers");
    read_block(reader, block, !shape.host, peer);
  } else {
    peer.pods = read_selector(reader, pods);
    peer.namespaces = read_selector(reader, namespaces);
    if (!namespaces) peer.name_space = shape.name_space;
  }
  out.push_back(std::move(peer));
}

}  // namespace

std::vector<PortMatch> read_ports(Reader& reader, const Field& list, bool host) {
  std::vector<PortMatch> out;
  if (!list || !reader.full_list(list, kMostItems)) return out;
  out.reserve(list.size());
  for (const Field item : list)
    read_port(reader, item, host, out);
  return out;
}

std::vector<Rule> read_rules(Reader& reader, const Field& list, bool ingress, const RuleShape& shape) {
  std::vector<Rule> out;
  if (!list || !reader.full_list(list, kMostItems)) return out;
  const std::string_view peers_name = ingress ? "from" : "to";
  for (const Field item : list) {
    if (!reader.map_of(item, {peers_name, "ports"})) continue;
    Rule& rule = out.emplace_back();
    rule.line = item.line();
    rule.ports = read_ports(reader, item["ports"], shape.host);
    const Field peers = item[peers_name];
    rule.any_peer = !peers || peers.size() == 0;
    if (!peers || !reader.full_list(peers, kMostItems)) continue;
    for (const Field peer : peers)
      read_peer(reader, peer, shape, rule.peers);
  }
  return out;
}

PolicyTypes read_policy_types(Reader& reader, const Field& list) {
  PolicyTypes out;
  if (!list || !reader.full_list(list, 2)) return out;
  out.given = list.size() > 0;
  for (const Field item : list) {
    const auto word = reader.text(item);
    if (!word) continue;
    if (*word == "Ingress") {
      out.ingress = true;
    } else if (*word == "Egress") {
      out.egress = true;
    } else {
      reader.fault(item, fmt::format("\"{}\" is no policy type", printable(*word, 80)), "use Ingress or Egress");
    }
  }
  return out;
}

}  // namespace omnitide::policy
