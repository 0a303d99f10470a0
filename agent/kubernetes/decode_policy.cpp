// networking.k8s.io/v1 NetworkPolicy.
#include "agent/kubernetes/decode.hpp"
#include "agent/kubernetes/messages.hpp"
#include "omnitide/peer/v1/kubernetes.pb.h"

namespace omnitide::kubernetes {

namespace {

namespace proto = peer::v1::kubernetes;

NetworkPolicy::Port policy_port(const proto::NetworkPolicy::Port& message) {
  NetworkPolicy::Port out{.protocol = message.protocol(), .number = {}, .name = {}, .last = {}};
  if (message.has_port()) {
    if (message.port().type() == 0)
      out.number = message.port().int_value();
    else
      out.name = message.port().string_value();
  }
  if (message.end_port() != 0) out.last = message.end_port();
  return out;
}

NetworkPolicy::Peer policy_peer(const proto::NetworkPolicy::Peer& message) {
  NetworkPolicy::Peer out;
  if (message.has_pod_selector()) out.pods = selector_of(message.pod_selector());
  if (message.has_namespace_selector()) out.namespaces = selector_of(message.namespace_selector());
  out.cidr = message.ip_block().cidr();
  out.except = texts_of(message.ip_block().except());
  return out;
}

std::vector<NetworkPolicy::Rule> policy_rules(
    const google::protobuf::RepeatedPtrField<proto::NetworkPolicy::Rule>& messages) {
  std::vector<NetworkPolicy::Rule> out;
  for (const auto& message : messages) {
    NetworkPolicy::Rule& rule = out.emplace_back();
    for (const auto& port : message.ports())
      rule.ports.push_back(policy_port(port));
    for (const auto& peer : message.peers())
      rule.peers.push_back(policy_peer(peer));
  }
  return out;
}

}  // namespace

Selector selector_of(const proto::LabelSelector& message) {
  Selector out;
  out.labels = labels_of(message.match_labels());
  for (const auto& each : message.match_expressions())
    out.requirements.push_back({each.key(), each.operator_(), texts_of(each.values())});
  return out;
}

template <>
Result<NetworkPolicy> decode(std::string_view bytes, Encoding encoding, const Decoding& /*decoding*/) {
  proto::NetworkPolicy message;
  if (Result<> parsed = parse_message(bytes, encoding, message); parsed.has_error()) return parsed.error();
  const proto::NetworkPolicy::Spec& spec = message.spec();
  return NetworkPolicy{.meta = meta_of(message.metadata()),
                       .pods = selector_of(spec.pod_selector()),
                       .ingress = policy_rules(spec.ingress()),
                       .egress = policy_rules(spec.egress()),
                       .types = texts_of(spec.policy_types())};
}

}  // namespace omnitide::kubernetes
