#include "agent/daemon/known_collectors.hpp"

#include "agent/daemon/health_report.hpp"
#include "agent/daemon/node_status_part.hpp"
#include "agent/daemon/policy_report.hpp"
#include "agent/daemon/self.hpp"
#include "agent/daemon/telemetry_report.hpp"
#include "agent/metrics/collection.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "ebpf/collectors/catalogue.hpp"

namespace omnitide::daemon {

namespace {

model::Collector only_described(std::string_view name, std::span<const model::MetricDescriptor* const> descriptors,
                                std::string_view source) {
  model::Collector out;
  out.name = name;
  out.descriptors = descriptors;
  out.source = source;
  return out;
}

}  // namespace

std::vector<model::Collector> known_collectors() {
  static const std::vector<const model::MetricDescriptor*> self = self_descriptors(), policy = policy_descriptors(),
                                                           telemetry = telemetry_descriptors(),
                                                           health = health_descriptors(),
                                                           node_status = node_status_descriptors();
  std::vector<model::Collector> out;
  model::CollectorSettings settings;
  settings.on.fill(true);
  if (const Result<Root> root = Root::open("/"); root.has_value()) out = discovery::node_collectors(*root, settings);
  // None is loaded: excluded collectors still say what they are.
  collectors::Options none;
  for (const std::string_view name : collectors::names())
    none.exclude.emplace_back(name);
  for (collectors::EbpfCollector& each : collectors::open_all(none))
    out.push_back(std::move(each.collector));
  out.push_back(only_described("agent", self, "the agent itself, /proc/self"));
  out.push_back(only_described("agent.collectors", metrics::CollectionEngine::own_descriptors(), "the agent itself"));
  out.push_back(only_described("agent.discovery", {}, "discovery, see facts.md; as old as its last round"));
  out.push_back(only_described("agent.policy", policy, "tables of the policy data path"));
  out.push_back(only_described("agent.health", health, "checks of the node, the kernel's log, remedies"));
  out.push_back(only_described("agent.node-status", node_status, "what is written to the cluster's Node object"));
  out.push_back(only_described("agent.telemetry", telemetry, "telemetry over MQTT, where a broker is named"));
  return out;
}

}  // namespace omnitide::daemon
