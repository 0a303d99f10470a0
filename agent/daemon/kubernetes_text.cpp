#include "agent/daemon/kubernetes_text.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

namespace k8s = kubernetes;

template <class Range, class Each>
std::string json_list(const Range& range, Each each) {
  std::string out = "[";
  for (const auto& item : range) {
    if (out.size() > 1) out += ',';
    out += each(item);
  }
  return out + "]";
}

std::string json_map(const k8s::Labels& labels) {
  std::string out = "{";
  for (const auto& [key, value] : labels) {
    if (out.size() > 1) out += ',';
    out += json_quote(key) + ":" + json_quote(value);
  }
  return out + "}";
}

std::string json_texts(const std::vector<std::string>& texts) {
  return json_list(texts, [](const std::string& text) { return json_quote(text); });
}

std::string object_begin(std::string_view version, std::string_view kind, const k8s::Meta& meta) {
  std::string out = fmt::format(R"({{"apiVersion":"{}","kind":"{}","metadata":{{"name":{})", version, kind,
                                json_quote(meta.name.name));
  if (!meta.name.space.empty()) out += ",\"namespace\":" + json_quote(meta.name.space);
  if (kind == "Pod") out += ",\"uid\":\"" + uid_text(meta.uid) + "\"";  // for Sandboxes
  if (!meta.labels.empty()) out += ",\"labels\":" + json_map(meta.labels);
  if (!meta.annotations.empty()) out += ",\"annotations\":" + json_map(meta.annotations);
  return out + "}";
}

std::string json_selector(const k8s::Selector& selector) {
  return fmt::format(R"({{"matchLabels":{},"matchExpressions":{}}})", json_map(selector.labels),
                     json_list(selector.requirements, [](const k8s::Selector::Requirement& each) {
                       std::string out =
                           fmt::format(R"({{"key":{},"operator":{})", json_quote(each.key), json_quote(each.operation));
                       if (!each.values.empty()) out += ",\"values\":" + json_texts(each.values);
                       return out + "}";
                     }));
}

std::string json_port(const k8s::NetworkPolicy::Port& port) {
  std::string out = "{\"protocol\":" + json_quote(port.protocol.empty() ? "TCP" : port.protocol);
  if (port.number) out += fmt::format(",\"port\":{}", *port.number);
  if (!port.name.empty()) out += ",\"port\":" + json_quote(port.name);
  if (port.last) out += fmt::format(",\"endPort\":{}", *port.last);
  return out + "}";
}

std::string json_peer(const k8s::NetworkPolicy::Peer& peer) {
  std::vector<std::string> parts;
  if (peer.pods) parts.push_back("\"podSelector\":" + json_selector(*peer.pods));
  if (peer.namespaces) parts.push_back("\"namespaceSelector\":" + json_selector(*peer.namespaces));
  if (!peer.cidr.empty())
    parts.push_back(
        fmt::format(R"("ipBlock":{{"cidr":{},"except":{}}})", json_quote(peer.cidr), json_texts(peer.except)));
  return "{" + join(parts, ",") + "}";
}

std::string json_rules(const std::vector<k8s::NetworkPolicy::Rule>& rules, std::string_view peers) {
  return json_list(rules, [peers](const k8s::NetworkPolicy::Rule& rule) {
    return fmt::format(R"({{"ports":{},"{}":{}}})", json_list(rule.ports, json_port), peers,
                       json_list(rule.peers, json_peer));
  });
}

}  // namespace

std::string uid_text(const k8s::Uid& uid) {
  return hex_encode({reinterpret_cast<const char*>(uid.data()), uid.size()});
}

std::string policy_text(const k8s::Namespace& object) { return object_begin("v1", "Namespace", object.meta) + "}"; }

std::string policy_text(const k8s::Pod& object) {
  const auto port = [](const k8s::Pod::Port& each) {
    return fmt::format(R"({{"name":{},"containerPort":{},"protocol":{}}})", json_quote(each.name), each.port,
                       json_quote(each.protocol));
  };
  std::string out = object_begin("v1", "Pod", object.meta);
  out += fmt::format(R"(,"spec":{{"nodeName":{},"hostNetwork":{},"containers":[{{"name":"all","ports":{}}}]}})",
                     json_quote(object.node), object.host_network, json_list(object.named_ports, port));
  out += fmt::format(R"(,"status":{{"phase":"{}","podIPs":{}}}}})", object.finished ? "Succeeded" : "Running",
                     json_list(object.addresses, [](const std::string& each) {
                       return fmt::format(R"({{"ip":{}}})", json_quote(each));
                     }));
  return out;
}

std::string policy_text(const k8s::Node& object) {
  return object_begin("v1", "Node", object.meta) +
         fmt::format(R"(,"status":{{"addresses":{}}}}})", json_list(object.addresses, [](const auto& each) {
                       return fmt::format(R"({{"type":{},"address":{}}})", json_quote(each.first),
                                          json_quote(each.second));
                     }));
}

std::string policy_text(const k8s::NetworkPolicy& object) {
  return object_begin("networking.k8s.io/v1", "NetworkPolicy", object.meta) +
         fmt::format(R"(,"spec":{{"podSelector":{},"policyTypes":{},"ingress":{},"egress":{}}}}})",
                     json_selector(object.pods), json_texts(object.types), json_rules(object.ingress, "from"),
                     json_rules(object.egress, "to"));
}

std::string policy_text(const k8s::CustomObject& object) { return object.json; }

}  // namespace omnitide::daemon
