// The agent's metrics: which collectors there are, and what the parts on the loop add.
#include <fmt/format.h>

#include <memory>

#include "agent/daemon/agent.hpp"
#include "agent/daemon/metrics_report.hpp"
#include "agent/daemon/policy_report.hpp"
#include "agent/daemon/self.hpp"
#include "discovery/collectors/catalogue.hpp"
#include "omnitide/node/v1/metrics.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;
using model::PartState;

void Agent::start_metrics() {
  std::vector<model::Collector> collectors;
  const Result<Root> root = Root::machine(config_.paths.host_root);
  if (!config_.metrics.enabled)
    parts_.set("metrics", PartState::off, "metrics.enabled is false");
  else if (root.has_error())
    parts_.set("metrics", PartState::failed, root.error().message);
  else
    collectors = discovery::node_collectors(*root, config_.metrics.collectors);
  if (!collectors.empty()) parts_.set("metrics", PartState::on, fmt::format("{} collectors", collectors.size()));
  start_ebpf_metrics(collectors);
  metrics_ = std::make_unique<metrics::CollectionEngine>(context_.get_executor(), pool_, std::move(collectors),
                                                         [this](model::SampleBatch& out) { add_samples(out); });
}

void Agent::start_ebpf_metrics(std::vector<model::Collector>& collectors) {
  const config::EbpfMetricsConfig& config = config_.metrics.ebpf;
  if (!config_.metrics.enabled || !config.enabled)
    return parts_.set("ebpf-metrics", PartState::off,
                      config.enabled ? "metrics.enabled is false" : "metrics.ebpf.enabled is false");
  ebpf_metrics_ = std::make_unique<EbpfMetricsPart>(
      context_, pool_,
      collectors::Options{.cgroups = config.cgroups,
                          .exclude = config.exclude,
                          .cgroup_root = config_.policy.cgroup_root,
                          .pods = config_.kubernetes.enabled ? pods_ : nullptr},
      [this](PartState state, std::string reason) { parts_.set("ebpf-metrics", state, std::move(reason)); });
  for (model::Collector& each : ebpf_metrics_->collectors())
    collectors.push_back(std::move(each));
  ebpf_metrics_->start();
}

// What the parts on this loop know.
void Agent::add_samples(model::SampleBatch& out) {
  add_self(parts_.all(), pool_.stuck(), out);
  if (!config_.metrics.enabled) return;
  if (policy_) {
    policy_->refresh_counters();
    add_policy_samples(policy_->report(), out);
  }
  if (health_) health_->add_samples(out);
  if (node_status_) node_status_->add_samples(out);
  if (telemetry_) telemetry_->add_samples(out);
  if (!discovery_) return;
  for (const model::Sample& sample : discovery_->inventory().samples()) {
    // What the collectors measure anew for each scrape is older here.
    if (sample.descriptor->name.starts_with("node_")) continue;
    const std::vector<std::string_view> labels(sample.labels.begin(), sample.labels.end());
    out.add(*sample.descriptor, sample.value, labels);
  }
}

std::vector<std::string> Agent::collector_names() const {
  std::vector<std::string> out;
  for (const model::Collector& collector : metrics_->collectors())
    out.emplace_back(collector.name);
  return out;
}

void Agent::add_metrics(LocalSources& sources) {
  sources.metrics = [this](v1::MetricFamilyList& out) -> asio::awaitable<Result<>> {
    const std::shared_ptr<const metrics::Collection> collection = co_await metrics_->collect();
    fill(collection->batches(), out);
    co_return Result<>();
  };
}

}  // namespace omnitide::daemon
