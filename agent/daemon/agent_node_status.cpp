// The agent and its Node object of the cluster: what health says of the node is written there.
#include <memory>

#include "agent/daemon/agent.hpp"

namespace omnitide::daemon {

using model::PartState;

void Agent::start_node_status() {
  const config::KubernetesConfig& config = config_.kubernetes;
  const bool wanted = config.conditions || config.events || !config_.health.remediation.cordon_for.empty();
  if (!config_.health.enabled || !wanted)
    return parts_.set(
        "node-status", PartState::off,
        config_.health.enabled ? "kubernetes.conditions and kubernetes.events are false" : "health.enabled is false");
  node_status_ = std::make_unique<NodeStatusPart>(
      context_, kubernetes_connection_->client(), config_,
      NodeStatusPart::Sources{
          .conditions = [this] { return health_ ? health_->conditions() : std::vector<model::Condition>(); },
          .cordoned =
              [this](bool done) {
                if (health_) health_->cordoned(done);
              },
          .cordon_held =
              [this](const std::string& reason) {
                if (health_) health_->cordon_held(reason);
              },
          .on_state = [this](PartState state,
                             std::string reason) { parts_.set("node-status", state, std::move(reason)); }});
  node_status_->start();
}

}  // namespace omnitide::daemon
