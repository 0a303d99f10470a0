// omnitide.io/v1alpha1 HostPolicy; docs/policy.md and manifests/crds/hostpolicy.yaml have its schema.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/policy/common.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::size_t kMostInterfaces = 256, kMostDenied = 1'000'000;

PortMatch port(Protocol protocol, std::uint16_t number) { return {protocol, number, number, {}}; }

// What a device must keep, so that a wrong policy can be taken back: a log-in, DHCP (RFC 2131, RFC 8415), names, time,
// the registry.
std::vector<PortMatch> usual_ingress() {
  return {port(Protocol::tcp, 22), port(Protocol::udp, 68), port(Protocol::udp, 546)};
}
std::vector<PortMatch> usual_egress() {
  return {port(Protocol::udp, 53),  port(Protocol::tcp, 53),  port(Protocol::udp, 67),
          port(Protocol::udp, 547), port(Protocol::udp, 123), port(Protocol::tcp, 7443)};
}

void read_interfaces(Reader& reader, const Field& list, std::vector<std::string>& out) {
  if (!list || !reader.full_list(list, kMostInterfaces)) return;
  for (const Field item : list) {
    const auto name = reader.text(item);
    if (!name) continue;
    std::string_view wrong = wrong_interface(*name);
    if (wrong.empty() && name->find_first_of("[]\\") != std::string_view::npos) wrong = "may have * and ? as wildcards";
    if (!wrong.empty()) reader.fault(item, fmt::format("the interface \"{}\" {}", printable(*name, 80), wrong));
    out.emplace_back(*name);
  }
}

void read_deny(Reader& reader, const Field& list, std::vector<Prefix>& out) {
  if (!list || !reader.full_list(list, kMostDenied)) return;
  out.reserve(list.size());
  for (const Field item : list) {
    if (const auto prefix = read_cidr(reader, item, false)) out.push_back(*prefix);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
}

void read_fail_safe(Reader& reader, const Field& field, HostPolicy& out) {
  out.fail_safe_ingress = usual_ingress();
  out.fail_safe_egress = usual_egress();
  if (!reader.map_of(field, {"ingress", "egress"})) return;
  if (field["ingress"]) out.fail_safe_ingress = read_ports(reader, field["ingress"], true);
  if (field["egress"]) out.fail_safe_egress = read_ports(reader, field["egress"], true);
}

}  // namespace

HostPolicy read_host_policy(Reader& reader) {
  HostPolicy out;
  const Field root = reader.root();
  check_metadata(reader, ObjectKey::Kind::host_policy);
  out.name = named(ObjectKey::Kind::host_policy, root).name;
  if (!reader.map_of(root, {"apiVersion", "kind", "metadata", "spec", "status"})) return out;
  const Field spec = root["spec"];
  if (!spec) reader.missing(root, "spec");
  if (!reader.map_of(spec, {"nodeSelector", "interfaces", "policyTypes", "deny", "failSafe", "ingress", "egress"}))
    return out;
  out.nodes = read_selector(reader, spec["nodeSelector"]);
  read_interfaces(reader, spec["interfaces"], out.interfaces);
  read_deny(reader, spec["deny"], out.deny);
  read_fail_safe(reader, spec["failSafe"], out);
  const RuleShape shape{.host = true, .name_space = {}};
  out.ingress = read_rules(reader, spec["ingress"], true, shape);
  out.egress = read_rules(reader, spec["egress"], false, shape);
  // Unlike NetworkPolicy, a list that is not there isolates nothing: a mere deny list must not lock a device.
  const PolicyTypes types = read_policy_types(reader, spec["policyTypes"]);
  out.isolates_ingress = types.given ? types.ingress : static_cast<bool>(spec["ingress"]);
  out.isolates_egress = types.given ? types.egress : static_cast<bool>(spec["egress"]);
  return out;
}

}  // namespace omnitide::policy
