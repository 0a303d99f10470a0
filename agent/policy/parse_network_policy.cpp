// networking.k8s.io/v1 NetworkPolicy.
#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"

namespace omnitide::policy {

namespace {

constexpr std::string_view kEstablished = "omnitide.io/established";

void read_established(Reader& reader, NetworkPolicy& out) {
  const std::string_view word = annotation(reader, kEstablished);
  out.keep_established = word == "keep";
  if (word.empty() || out.keep_established) return;
  reader.remark(reader.root()["metadata"]["annotations"][kEstablished],
                fmt::format("\"{}\" means nothing here; live connections are judged again", printable(word, 80)),
                "the one value is keep");
}

}  // namespace

NetworkPolicy read_network_policy(Reader& reader) {
  NetworkPolicy out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::network_policy);
  const ObjectKey key = named(ObjectKey::Kind::network_policy, root);
  out.name = key.name;
  out.name_space = key.name_space;
  read_established(reader, out);
  if (!reader.map_of(root, {"apiVersion", "kind", "metadata", "spec", "status"})) return out;
  const Field spec = root["spec"];
  if (!spec) {
    if (reader.good()) reader.remark(root, "has no spec: it selects every pod of its namespace and lets nothing in");
    return out;
  }
  if (!reader.map_of(spec, {"podSelector", "policyTypes", "ingress", "egress"})) return out;
  out.pods = read_selector(reader, spec["podSelector"]);
  const RuleShape shape{.host = false, .name_space = out.name_space};
  out.ingress = read_rules(reader, spec["ingress"], true, shape);
  out.egress = read_rules(reader, spec["egress"], false, shape);
  const PolicyTypes types = read_policy_types(reader, spec["policyTypes"]);
  out.isolates_ingress = !types.given || types.ingress;
  out.isolates_egress = types.given ? types.egress : !out.egress.empty();
  return out;
}

}  // namespace omnitide::policy
