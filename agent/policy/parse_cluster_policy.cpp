// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, by the schema of both of its channels (v0.2.0).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostOfList = 25, kLongestName = 100, kLongestCidr = 43;
constexpr std::int64_t kMostPriority = 1000;

// The one entry of a map that must have exactly one; absent when it is not so, which is then reported.
Field only_entry(Reader& reader, const Field& field, std::string_view wanted) {
  Field found;
  std::size_t count = 0;
  for (const Field entry : field) {
    if (!entry) continue;
    found = entry;
    ++count;
  }
  if (count == 1) return found;
  reader.fault(field, fmt::format("must have exactly one of {}", wanted));
  return {};
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80; }));
}

// A list of 1 to 25 items that must be there.
bool required_list(Reader& reader, const Field& parent, std::string_view name, bool optional = false) {
  const Field list = parent[name];
  if (!list) {
    if (!optional) reader.missing(parent, name, "at least one item");
    return false;
  }
  if (!reader.full_list(list, kMostOfList)) return false;
  if (list.size() == 0) reader.fault(list, "must have at least one item");
  return true;
}

void read_pods(Reader& reader, const Field& field, Selector& namespaces, Selector& pods) {
  if (!reader.map_of(field, {"namespaceSelector", "podSelector"})) return;
  if (!field["podSelector"]) reader.missing(field, "podSelector", "podSelector: {} selects every pod");
  namespaces = read_selector(reader, field["namespaceSelector"]);
  pods = read_selector(reader, field["podSelector"]);
}

void read_networks(Reader& reader, const Field& field, Peer& peer) {
  peer.kind = Peer::Kind::blocks;
  std::vector<std::string_view> seen;
  for (const Field item : field) {
    const auto text = reader.text(item);
    if (!text) continue;
    if (text->size() > kLongestCidr) reader.fault(item, fmt::format("has more than {} characters", kLongestCidr));
    if (std::find(seen.begin(), seen.end(), *text) != seen.end()) reader.fault(item, "is in the list a second time");
    seen.push_back(*text);
    if (const auto prefix = read_cidr(reader, item, false)) peer.blocks.push_back({*prefix, {}});
  }
}

// ^(\*\.)?(LABEL\.)+LABEL\.?$, LABEL being letters, digits, '-' and '_' between letters or digits.
bool is_domain_pattern(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.ends_with('.')) text.remove_suffix(1);
  const std::vector<std::string_view> labels = split(text, '.');
  return labels.size() > 1 && std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
           return !label.empty() && wrong_label_value(label.substr(0, 63)).empty();
         });
}

void read_domain_names(Reader& reader, const Field& field, Peer& peer) {
  peer.kind = Peer::Kind::unknown;
  for (const Field item : field) {
    const auto text = reader.text(item);
    if (text && !is_domain_pattern(*text))
      reader.fault(item, fmt::format("\"{}\" is no domain name", printable(*text, 80)), "write it like *.example.com");
  }
}

// A peer that this version cannot judge fails closed, as the API asks: in Accept it matches nothing, in Deny and Pass
// the rule becomes a deny-all.
void note_unknown(Reader& reader, const Field& entry, Action action) {
  reader.remark(entry,
                fmt::format("peers by {} cannot be judged here: {}", printable(entry.key(), 80),
                            action == Action::accept ? "they match nothing" : "the rule denies everything"),
                "");
}

constexpr std::array<std::string_view, 5> kPeers{"namespaces", "pods", "networks", "nodes", "domainNames"};

// A name that is likely a typing error, or belongs to the other direction: refused. Any other is a later version's.
bool refuse_name(Reader& reader, const Field& entry, std::span<const std::string_view> known) {
  const std::vector<std::string> names(known.begin(), known.end());
  const std::string_view near = nearest(entry.key(), names);
  if (std::find(kPeers.begin(), kPeers.end(), entry.key()) != kPeers.end()) {
    reader.fault(entry, "is not known in an ingress rule", fmt::format("known are {}", fmt::join(known, ", ")));
  } else if (!near.empty()) {
    reader.fault(entry, "is not known here", fmt::format("did you mean {}?", near));
  } else {
    return false;
  }
  return true;
}

void read_peer(Reader& reader, const Field& field, bool ingress, Action action, std::vector<Peer>& out) {
  if (!reader.map(field)) return;
  const auto known = std::span(kPeers).first(ingress ? 2 : kPeers.size());
  const Field entry = only_entry(reader, field, fmt::format("{}", fmt::join(known, ", ")));
  if (!entry) return;
  const std::string_view name = entry.key();
  Peer peer;
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    if (refuse_name(reader, entry, known)) return;
    peer.kind = Peer::Kind::unknown;
    note_unknown(reader, entry, action);
  } else if (name == "namespaces") {
    peer.namespaces = read_selector(reader, entry);
  } else if (name == "pods") {
    read_pods(reader, entry, peer.namespaces, peer.pods);
  } else if (name == "nodes") {
    peer.kind = Peer::Kind::nodes;
    peer.nodes = read_selector(reader, entry);
  } else if (required_list(reader, field, name)) {
    const bool networks = name == "networks";
    networks ? read_networks(reader, entry, peer) : read_domain_names(reader, entry, peer);
    if (!networks) note_unknown(reader, entry, action);
  }
  out.push_back(std::move(peer));
}

void read_range(Reader& reader, const Field& field, PortMatch& out) {
  if (!reader.map_of(field, {"start", "end"})) return;
  if (!field["start"]) reader.missing(field, "start");
  if (!field["end"]) reader.missing(field, "end");
  const auto start = reader.number(field["start"], 1, kMostPort), end = reader.number(field["end"], 1, kMostPort);
  if (!start || !end) return;
  if (*start >= *end) reader.fault(field, "must have a start below its end");
  out.first = static_cast<std::uint16_t>(*start);
  out.last = static_cast<std::uint16_t>(*end);
}

void read_destination_port(Reader& reader, const Field& protocol, PortMatch& out) {
  if (!reader.map_of(protocol, {"destinationPort"})) return;
  const Field port = protocol["destinationPort"];
  if (!port) return reader.missing(protocol, "destinationPort");
  if (!reader.map_of(port, {"number", "range"})) return;
  const Field entry = only_entry(reader, port, "number, range");
  if (!entry) return;
  if (entry.key() == "range") return read_range(reader, entry, out);
  if (const auto number = reader.number(port["number"], 1, kMostPort))
    out.first = out.last = static_cast<std::uint16_t>(*number);
}

void read_protocol_match(Reader& reader, const Field& field, std::vector<PortMatch>& out) {
  if (!reader.map_of(field, {"tcp", "udp", "sctp", "destinationNamedPort"})) return;
  const Field entry = only_entry(reader, field, "tcp, udp, sctp, destinationNamedPort");
  if (!entry) return;
  PortMatch match;
  if (entry.key() == "destinationNamedPort") {
    match.protocol = Protocol::any;
    match.name = reader.text(entry).value_or(std::string_view{});
    if (match.name.empty() && reader.good()) reader.fault(entry, "is empty");
  } else {
    match.protocol = entry.key() == "tcp" ? Protocol::tcp : entry.key() == "udp" ? Protocol::udp : Protocol::sctp;
    read_destination_port(reader, entry, match);
  }
  out.push_back(std::move(match));
}

std::optional<Action> read_action(Reader& reader, const Field& rule) {
  const Field field = rule["action"];
  if (!field) reader.missing(rule, "action", "Accept, Deny or Pass");
  const auto word = reader.text(field);
  if (!word) return std::nullopt;
  if (*word == "Accept") return Action::accept;
  if (*word == "Deny") return Action::deny;
  if (*word == "Pass") return Action::pass;
  reader.fault(
      field, fmt::format("\"{}\" is no action", printable(*word, 80)),
      *word == "Allow" ? "write Accept; Allow was the older AdminNetworkPolicy's" : "use Accept, Deny or Pass");
  return std::nullopt;
}

// A named port has a meaning on pods only.
void check_named_ports(Reader& reader, const Field& item, const Rule& rule) {
  const bool named =
      std::any_of(rule.ports.begin(), rule.ports.end(), [](const PortMatch& p) { return !p.name.empty(); });
  const bool other =
      std::any_of(rule.peers.begin(), rule.peers.end(), [](const Peer& peer) { return peer.kind != Peer::Kind::pods; });
  if (named && other)
    reader.fault(item["protocols"], "must not have named ports: networks, nodes and domainNames have none");
}

void read_rule(Reader& reader, const Field& item, bool ingress, std::vector<Rule>& out) {
  const std::string_view peers = ingress ? "from" : "to";
  if (!reader.map_of(item, {"name", "action", peers, "protocols"})) return;
  Rule rule;
  rule.line = item.line();
  rule.name = reader.text(item["name"]).value_or(std::string_view{});
  if (characters(rule.name) > kLongestName)
    reader.fault(item["name"], fmt::format("has more than {} characters", kLongestName));
  rule.action = read_action(reader, item).value_or(Action::accept);
  if (required_list(reader, item, peers)) {
    for (const Field peer : item[peers])
      read_peer(reader, peer, ingress, rule.action, rule.peers);
  }
  if (required_list(reader, item, "protocols", true)) {
    for (const Field protocol : item["protocols"])
      read_protocol_match(reader, protocol, rule.ports);
  }
  check_named_ports(reader, item, rule);
  out.push_back(std::move(rule));
}

void read_subject(Reader& reader, const Field& spec, ClusterNetworkPolicy& out) {
  const Field subject = spec["subject"];
  if (!subject) return reader.missing(spec, "subject", "subject: {namespaces: {}} is every pod");
  if (!reader.map_of(subject, {"namespaces", "pods"})) return;
  const Field entry = only_entry(reader, subject, "namespaces, pods");
  if (!entry) return;
  if (entry.key() == "pods") return read_pods(reader, entry, out.subject_namespaces, out.subject_pods);
  out.subject_namespaces = read_selector(reader, entry);
}

void read_tier(Reader& reader, const Field& spec, ClusterNetworkPolicy& out) {
  const Field tier = spec["tier"], priority = spec["priority"];
  if (!tier) reader.missing(spec, "tier", "Admin or Baseline");
  if (const auto word = reader.text(tier)) {
    out.tier = *word == "Baseline" ? Tier::baseline : Tier::admin;
    if (*word != "Admin" && *word != "Baseline")
      reader.fault(tier, fmt::format("\"{}\" is no tier", printable(*word, 80)), "use Admin or Baseline");
  }
  if (!priority) reader.missing(spec, "priority", "0 to 1000; lower ones come first");
  out.priority = static_cast<std::uint16_t>(reader.number(priority, 0, kMostPriority).value_or(0));
}

}  // namespace

ClusterNetworkPolicy read_cluster_policy(Reader& reader) {
  ClusterNetworkPolicy out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::cluster_network_policy);
  out.name = named(ObjectKey::Kind::cluster_network_policy, root).name;
  if (!reader.map_of(root, {"apiVersion", "kind", "metadata", "spec", "status"})) return out;
  const Field spec = root["spec"];
  if (!spec) reader.missing(root, "spec");
  if (!reader.map_of(spec, {"tier", "priority", "subject", "ingress", "egress"})) return out;
  read_tier(reader, spec, out);
  read_subject(reader, spec, out);
  for (const bool ingress : {true, false}) {
    const Field list = spec[ingress ? "ingress" : "egress"];
    if (!list || !reader.full_list(list, kMostOfList)) continue;
    for (const Field item : list)
      read_rule(reader, item, ingress, ingress ? out.ingress : out.egress);
  }
  return out;
}

}  // namespace omnitide::policy
