// Objects as a List that kubectl would take: one object a line, in JSON.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "tests/harness/policy_agreement.hpp"

namespace omnitide::policy::agreement {

namespace {

// A JSON map, field by field.
class Map {
 public:
  Map& raw(std::string_view name, const std::string& value) {
    text_ += fmt::format("{}{}:{}", text_.empty() ? "" : ",", json_quote(name), value);
    return *this;
  }
  Map& text(std::string_view name, const std::string& value) { return raw(name, json_quote(value)); }
  [[nodiscard]] std::string done() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

template <class List, class Write>
std::string array(const List& list, Write&& write) {
  std::vector<std::string> parts;
  for (const auto& item : list)
    parts.push_back(write(item));
  return "[" + join(parts, ",") + "]";
}

std::string labels(const Labels& of) {
  Map out;
  for (const auto& [key, value] : of)
    out.text(key, value);
  return out.done();
}

std::string selector(const Selector& of) {
  constexpr std::array<const char*, 4> kOperators{"In", "NotIn", "Exists", "DoesNotExist"};
  if (of.requirements.empty()) return "{}";
  return Map()
      .raw("matchExpressions",
           array(of.requirements,
                 [&](const Requirement& one) {
                   Map out;
                   out.text("key", one.key).text("operator", kOperators[static_cast<std::size_t>(one.op)]);
                   if (!one.values.empty())
                     out.raw("values", array(one.values, [](const auto& v) { return json_quote(v); }));
                   return out.done();
                 }))
      .done();
}

const char* protocol(Protocol of) {
  return of == Protocol::tcp ? "TCP" : of == Protocol::udp ? "UDP" : of == Protocol::sctp ? "SCTP" : "ANY";
}

std::string network_port(const PortMatch& of) {
  Map out;
  out.text("protocol", protocol(of.protocol));
  if (!of.name.empty()) out.text("port", of.name);
  if (of.last != 0) out.raw("port", std::to_string(of.first));
  if (of.last > of.first) out.raw("endPort", std::to_string(of.last));
  return out.done();
}

std::string cluster_port(const PortMatch& of) {
  if (!of.name.empty()) return Map().text("destinationNamedPort", of.name).done();
  Map port;
  if (of.last > of.first) {
    port.raw("range", fmt::format("{{\"start\":{},\"end\":{}}}", of.first, of.last));
  } else if (of.last != 0) {
    port.raw("number", std::to_string(of.first));
  }
  Map inner;
  if (of.last != 0) inner.raw("destinationPort", port.done());
  return Map().raw(to_lower(protocol(of.protocol)), inner.done()).done();
}

std::string block(const Block& of) {
  Map out;
  out.text("cidr", format(of.cidr));
  if (!of.except.empty()) out.raw("except", array(of.except, [](const Prefix& p) { return json_quote(format(p)); }));
  return Map().raw("ipBlock", out.done()).done();
}

std::string network_peer(const Peer& of) {
  if (of.kind == Peer::Kind::blocks) return block(of.blocks.front());
  Map out;
  if (of.name_space.empty()) out.raw("namespaceSelector", selector(of.namespaces));
  if (!of.name_space.empty() || !of.pods.requirements.empty()) out.raw("podSelector", selector(of.pods));
  return out.done();
}

std::string pods(const Selector& namespaces, const Selector& of) {
  return Map().raw("namespaceSelector", selector(namespaces)).raw("podSelector", selector(of)).done();
}

std::string cluster_peer(const Peer& of) {
  Map out;
  switch (of.kind) {
    case Peer::Kind::pods: return out.raw("pods", pods(of.namespaces, of.pods)).done();
    case Peer::Kind::nodes: return out.raw("nodes", selector(of.nodes)).done();
    case Peer::Kind::unknown: return out.raw("domainNames", "[\"*.example.com\"]").done();
    case Peer::Kind::blocks: break;
  }
  return out.raw("networks", array(of.blocks, [](const Block& one) { return json_quote(format(one.cidr)); })).done();
}

std::string rule(const Rule& of, bool ingress, bool cluster) {
  constexpr std::array<const char*, 3> kActions{"Accept", "Deny", "Pass"};
  Map out;
  if (cluster) out.text("action", kActions[static_cast<std::size_t>(of.action)]);
  if (!of.peers.empty()) out.raw(ingress ? "from" : "to", array(of.peers, cluster ? cluster_peer : network_peer));
  if (!of.ports.empty())
    out.raw(cluster ? "protocols" : "ports", array(of.ports, cluster ? cluster_port : network_port));
  return out.done();
}

std::string rules(const std::vector<Rule>& of, bool ingress, bool cluster) {
  return array(of, [&](const Rule& one) { return rule(one, ingress, cluster); });
}

std::string types(bool ingress, bool egress) {
  return std::string("[") + (ingress ? "\"Ingress\"" : "") + (ingress && egress ? "," : "") +
         (egress ? "\"Egress\"" : "") + "]";
}

std::string prefixes(const std::vector<Prefix>& of) {
  return array(of, [](const Prefix& one) { return json_quote(format(one)); });
}

struct Writer {
  std::string head(const char* version, const char* kind, const std::string& metadata, const std::string& rest) const {
    return fmt::format("{{\"apiVersion\":\"{}\",\"kind\":\"{}\",\"metadata\":{}{}}}", version, kind, metadata, rest);
  }
  std::string operator()(const Namespace& of) const {
    return head("v1", "Namespace", Map().text("name", of.name).raw("labels", labels(of.labels)).done(), "");
  }
  std::string operator()(const Pod& of) const {
    Map metadata, spec, status;
    metadata.text("namespace", of.name_space).text("name", of.name).raw("labels", labels(of.labels));
    if (of.any_source) metadata.raw("annotations", "{\"omnitide.io/allow-source\":\"any\"}");
    const std::string ports = array(of.ports, [](const NamedPort& port) {
      Map out;
      out.text("name", port.name).text("protocol", protocol(port.protocol));
      return out.raw("containerPort", std::to_string(port.number)).done();
    });
    spec.text("nodeName", of.node).raw("containers", fmt::format("[{{\"name\":\"c\",\"ports\":{}}}]", ports));
    if (of.host_network) spec.raw("hostNetwork", "true");
    status.text("phase", of.finished ? "Succeeded" : "Running");
    status.raw("podIPs", array(of.addresses, [](const Address& ip) { return Map().text("ip", format(ip)).done(); }));
    return head("v1", "Pod", metadata.done(), fmt::format(",\"spec\":{},\"status\":{}", spec.done(), status.done()));
  }
  std::string operator()(const Node& of) const {
    const std::string addresses = array(of.addresses, [](const Address& ip) {
      return Map().text("type", "InternalIP").text("address", format(ip)).done();
    });
    return head("v1", "Node", Map().text("name", of.name).raw("labels", labels(of.labels)).done(),
                ",\"status\":" + Map().raw("addresses", addresses).done());
  }
  std::string operator()(const NetworkPolicy& of) const {
    Map metadata, spec;
    metadata.text("namespace", of.name_space).text("name", of.name);
    if (of.keep_established) metadata.raw("annotations", "{\"omnitide.io/established\":\"keep\"}");
    spec.raw("podSelector", selector(of.pods)).raw("policyTypes", types(of.isolates_ingress, of.isolates_egress));
    spec.raw("ingress", rules(of.ingress, true, false)).raw("egress", rules(of.egress, false, false));
    return head("networking.k8s.io/v1", "NetworkPolicy", metadata.done(), ",\"spec\":" + spec.done());
  }
  std::string operator()(const ClusterNetworkPolicy& of) const {
    Map spec;
    spec.text("tier", of.tier == Tier::admin ? "Admin" : "Baseline").raw("priority", std::to_string(of.priority));
    spec.raw("subject", Map().raw("pods", pods(of.subject_namespaces, of.subject_pods)).done());
    spec.raw("ingress", rules(of.ingress, true, true)).raw("egress", rules(of.egress, false, true));
    return head("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", Map().text("name", of.name).done(),
                ",\"spec\":" + spec.done());
  }
  std::string operator()(const HostPolicy& of) const {
    Map spec, fail_safe;
    fail_safe.raw("ingress", array(of.fail_safe_ingress, network_port));
    fail_safe.raw("egress", array(of.fail_safe_egress, network_port));
    spec.raw("nodeSelector", selector(of.nodes)).raw("policyTypes", types(of.isolates_ingress, of.isolates_egress));
    if (!of.deny.empty()) spec.raw("deny", prefixes(of.deny));
    spec.raw("failSafe", fail_safe.done());
    spec.raw("ingress", rules(of.ingress, true, false)).raw("egress", rules(of.egress, false, false));
    return head("omnitide.io/v1alpha1", "HostPolicy", Map().text("name", of.name).done(), ",\"spec\":" + spec.done());
  }
};

}  // namespace

std::string text(const Objects& objects) {
  std::vector<std::string> lines;
  for (const auto& [key, object] : objects)
    lines.push_back(std::visit(Writer{}, *object));
  return "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n" + join(lines, ",\n") + "\n]}\n";
}

}  // namespace omnitide::policy::agreement
