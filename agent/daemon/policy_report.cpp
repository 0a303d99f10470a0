#include "agent/daemon/policy_report.hpp"

#include <array>

#include "agent/codec/time.hpp"
#include "agent/daemon/report.hpp"
#include "ebpf/abi/policy.h"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::daemon {

namespace v1 = node::v1;

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 2> kVerdictLabels{"direction", "reason"};
constexpr std::array<std::string_view, 1> kTableLabel{"table"};
constexpr MetricDescriptor kPackets{"omnitide_policy_packets_total", "", "Packets that network policy judged, by why.",
                                    MetricType::counter, kVerdictLabels};
constexpr MetricDescriptor kBytes{"omnitide_policy_bytes_total", "bytes", "Bytes of those packets.",
                                  MetricType::counter, kVerdictLabels};
constexpr MetricDescriptor kUsed{"omnitide_policy_table_entries", "", "Entries of a table of network policy.",
                                 MetricType::gauge, kTableLabel};
constexpr MetricDescriptor kLimit{"omnitide_policy_table_limit", "", "Entries that the table may hold.",
                                  MetricType::gauge, kTableLabel};
constexpr MetricDescriptor kPublications{
    "omnitide_policy_publications_total", "", "Changes of policy that were published.", MetricType::counter, {}};
constexpr MetricDescriptor kFailures{"omnitide_policy_publication_failures_total",
                                     "",
                                     "Changes of policy that could not be published; the last policy held.",
                                     MetricType::counter,
                                     {}};
constexpr MetricDescriptor kEnforcing{"omnitide_policy_enforcing",
                                      "",
                                      "1 where network policy drops packets, 0 where it only judges them (audit).",
                                      MetricType::gauge,
                                      {}};
constexpr MetricDescriptor kHeld{"omnitide_policy_last_good_held",
                                 "",
                                 "1 while the last change could not be applied, so that the policy before it holds.",
                                 MetricType::gauge,
                                 {}};
constexpr MetricDescriptor kFaults{
    "omnitide_policy_faults", "", "Objects and files that are wrong and not applied.", MetricType::gauge, {}};
constexpr MetricDescriptor kPending{
    "omnitide_policy_pending_endpoints", "", "Pods whose device is not known.", MetricType::gauge, {}};
constexpr MetricDescriptor kLost{"omnitide_policy_lost_events_total",
                                 "",
                                 "New verdicts that were not told, because of the rate or a full buffer.",
                                 MetricType::counter,
                                 {}};
constexpr MetricDescriptor kChange{"omnitide_policy_last_change_seconds",
                                   "seconds",
                                   "How long the last change took from files to the kernel.",
                                   MetricType::gauge,
                                   {}};

std::string direction_name(std::uint8_t direction) { return direction == POLICY_INGRESS ? "INGRESS" : "EGRESS"; }

void use(v1::PolicyStatus& out, std::string_view name, std::uint64_t used, std::uint64_t limit) {
  v1::PolicyUse& row = *out.add_use();
  row.set_name(std::string(name));
  row.set_used(used);
  row.set_limit(limit);
}

std::string flag_names(std::uint8_t flags) {
  constexpr std::array<std::string_view, 6> kNames{"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
  std::string out;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if ((flags >> i & 1U) != 0) out += (out.empty() ? "" : ",") + std::string(kNames.at(i));
  return out;
}

void fill(const std::optional<policy::ObjectKey>& who, std::uint32_t identity, v1::FlowEndpoint& out) {
  out.set_identity(identity);
  if (!who) return;
  if (who->kind == policy::ObjectKey::Kind::pod) {
    out.set_namespace_(who->name_space);
    out.set_pod_name(who->name);
  } else {
    out.set_node_name(who->name);
  }
}

void set_ports(const enforcement::FlowEvent& event, v1::FlowLayer4& out) {
  const auto ports = [&event](v1::FlowPorts& to) {
    to.set_source_port(event.source_port);
    to.set_destination_port(event.destination_port);
  };
  switch (static_cast<policy::Protocol>(event.protocol)) {
    case policy::Protocol::tcp:
      out.mutable_tcp()->set_source_port(event.source_port);
      out.mutable_tcp()->set_destination_port(event.destination_port);
      out.mutable_tcp()->set_flags(flag_names(event.tcp_flags));
      break;
    case policy::Protocol::udp: return ports(*out.mutable_udp());
    case policy::Protocol::sctp: return ports(*out.mutable_sctp());
    case policy::Protocol::icmp: return ports(*out.mutable_icmpv4());
    case policy::Protocol::icmpv6: return ports(*out.mutable_icmpv6());
    case policy::Protocol::any: break;
  }
}

std::string protocol_text(std::uint8_t protocol) {
  const std::string_view name = policy::protocol_name(static_cast<policy::Protocol>(protocol));
  return name.empty() ? std::to_string(protocol) : std::string(name);
}

void fill(const NamedFlow& flow, const std::string& node_name, v1::Flow& out) {
  const enforcement::FlowEvent& event = flow.event;
  codec::set_time(flow.time, *out.mutable_time());
  const std::string reason(enforcement::reason_name(event.reason));
  out.set_verdict(event.verdict == POLICY_FORWARDED ? "FORWARDED"
                  : event.verdict == POLICY_AUDITED ? "AUDIT"
                                                    : "DROPPED");
  if (event.verdict != POLICY_FORWARDED) out.set_drop_reason_desc(reason);
  out.set_reason(reason);
  out.set_traffic_direction(direction_name(event.direction));
  out.mutable_ip()->set_source(format(event.source));
  out.mutable_ip()->set_destination(format(event.destination));
  out.mutable_ip()->set_ip_version(event.source.is_v4() ? "IPv4" : "IPv6");
  out.set_protocol(protocol_text(event.protocol));
  set_ports(event, *out.mutable_l4());
  fill(flow.source, event.source_identity, *out.mutable_source());
  fill(flow.destination, event.destination_identity, *out.mutable_destination());
  out.set_node_name(node_name);
  out.set_interface(flow.device);
  if (!flow.rule) return;
  const bool allowed = event.verdict == POLICY_FORWARDED, ingress = event.direction == POLICY_INGRESS;
  v1::FlowPolicy& by = allowed ? (ingress ? *out.add_ingress_allowed_by() : *out.add_egress_allowed_by())
                               : (ingress ? *out.add_ingress_denied_by() : *out.add_egress_denied_by());
  by.set_name(flow.rule->policy.name);
  by.set_namespace_(flow.rule->policy.name_space);
  by.set_kind(std::string(policy::kind_name(flow.rule->policy.kind)));
  by.set_file(flow.rule->where.file);
  by.set_line(flow.rule->where.line);
}

}  // namespace

void fill(const policy::Fault& fault, v1::PolicyFault& out) {
  out.set_source(fault.file);
  out.set_line(fault.line);
  out.set_object(fault.object);
  out.set_field(fault.field);
  out.set_message(fault.message);
  out.set_hint(fault.hint);
}

void fill(const PolicyReport& report, v1::PolicyStatus& out) {
  const enforcement::Status& state = report.enforcement;
  out.set_mode(state.mode == enforcement::Mode::audit ? "audit" : "enforce");
  out.set_live(state.live);
  out.set_inherited(state.inherited);
  out.set_attached_by(std::string(state.attached_by));
  out.set_publications(state.publications);
  out.set_last_failure(report.failure);
  if (report.last_change) codec::set_time(*report.last_change, *out.mutable_last_change());
  out.set_parse_seconds(report.parse.count());
  out.set_compile_seconds(report.compile.count());
  out.set_publish_seconds(report.publish.count());
  out.set_objects(report.objects);
  for (const policy::Fault& fault : report.faults)
    fill(fault, *out.add_faults());
  for (const enforcement::EndpointStatus& endpoint : state.endpoints) {
    v1::PolicyEndpoint& row = *out.add_endpoints();
    row.set_name(endpoint.name);
    row.mutable_devices()->Assign(endpoint.devices.begin(), endpoint.devices.end());
    row.set_pending(endpoint.pending);
  }
  for (const enforcement::DeviceStatus& device : state.devices) {
    v1::PolicyDevice& row = *out.add_devices();
    row.set_name(device.name);
    row.set_role(std::string(enforcement::role_name(device.kind)));
    row.set_endpoint(device.endpoint);
    row.set_problem(device.problem);
  }
  use(out, "rules of one set", report.use.rules, report.limits.rules);
  use(out, "identities", report.use.identities, report.limits.identities);
  use(out, "cidrs", report.use.cidrs, report.limits.cidrs);
  for (const enforcement::MapStatus& map : state.maps)
    use(out, map.name, map.used, map.limit);
  for (const enforcement::Counter& counter : report.counters.verdicts) {
    v1::PolicyCounter& row = *out.add_verdicts();
    row.set_direction(direction_name(counter.direction));
    row.set_reason(std::string(enforcement::reason_name(counter.reason)));
    row.set_packets(counter.packets);
    row.set_bytes(counter.bytes);
  }
  out.set_lost_events(report.counters.lost_events);
  out.set_local_delivery(state.local_delivery);
  if (!report.applied.sha256.empty()) out.set_desired_version(std::to_string(report.applied.version));
  out.mutable_notices()->Assign(report.notices.begin(), report.notices.end());
}

void fill(const PolicyPart::Flows& flows, const std::string& node_name, v1::FlowList& out) {
  std::uint64_t number = flows.first;
  for (const auto& flow : flows.items) {
    v1::Flow& row = *out.add_items();
    fill(*flow, node_name, row);
    row.set_number(number++);
  }
  out.set_next(flows.next);
  out.set_lost(flows.lost);
}

std::vector<const MetricDescriptor*> policy_descriptors() {
  return {&kPackets,  &kBytes, &kUsed,   &kLimit,   &kEnforcing, &kPublications,
          &kFailures, &kHeld,  &kFaults, &kPending, &kLost,      &kChange};
}

void add_policy_samples(const PolicyReport& report, model::SampleBatch& out) {
  for (const enforcement::Counter& counter : report.counters.verdicts) {
    const std::string_view direction = counter.direction == POLICY_INGRESS ? "ingress" : "egress";
    const std::string_view reason = enforcement::reason_name(counter.reason);
    out.add(kPackets, static_cast<double>(counter.packets), {direction, reason});
    out.add(kBytes, static_cast<double>(counter.bytes), {direction, reason});
  }
  for (const enforcement::MapStatus& map : report.enforcement.maps) {
    out.add(kUsed, static_cast<double>(map.used), {map.name});
    out.add(kLimit, static_cast<double>(map.limit), {map.name});
  }
  std::size_t faults = 0, pending = 0;
  for (const policy::Fault& fault : report.faults)
    faults += fault.applied ? 0U : 1U;
  for (const enforcement::EndpointStatus& endpoint : report.enforcement.endpoints)
    pending += endpoint.pending.empty() ? 0U : 1U;
  out.add(kPublications, static_cast<double>(report.enforcement.publications));
  out.add(kFailures, static_cast<double>(report.enforcement.failures + report.refused));
  out.add(kEnforcing, report.enforcement.mode == enforcement::Mode::enforce ? 1 : 0);
  out.add(kHeld, report.failure.empty() ? 0 : 1);
  out.add(kFaults, static_cast<double>(faults));
  out.add(kPending, static_cast<double>(pending));
  out.add(kLost, static_cast<double>(report.counters.lost_events));
  out.add(kChange, (report.parse + report.compile + report.publish).count());
}

}  // namespace omnitide::daemon
