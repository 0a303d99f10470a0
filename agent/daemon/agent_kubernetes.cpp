// The agent and its cluster's API server: what it follows there, and what it takes away when it goes for good.
#include <unistd.h>

#include <memory>

#include "agent/daemon/agent.hpp"
#include "agent/daemon/policy_engine.hpp"
#include "agent/daemon/spawn.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;

void Agent::start_kubernetes() {
  if (!config_.kubernetes.enabled) return parts_.set("kubernetes", PartState::off, "kubernetes.enabled is false");
  Result<std::unique_ptr<KubernetesConnection>> opened =
      KubernetesConnection::open(context_, pool_, config_.kubernetes);
  if (opened.has_error()) return parts_.set("kubernetes", PartState::failed, opened.error().text());
  kubernetes_connection_ = std::move(*opened);
  watch_removal();
  start_kubernetes_node();
  start_node_status();
  std::function<void(std::vector<PolicyText>, bool)> on_objects;
  if (policy_)
    on_objects = [this](std::vector<PolicyText> changes, bool whole) {
      add_kubernetes_objects(std::move(changes), whole);
    };
  kubernetes_ = std::make_unique<KubernetesPart>(
      context_, pool_, *kubernetes_connection_, KubernetesPart::Own{.node = config_.node.name, .pods = pods_},
      config_.paths.state_dir,
      KubernetesPart::Hooks{.on_objects = std::move(on_objects),
                            .on_state = [this](PartState state, std::string reason) {
                              parts_.set("kubernetes", state, std::move(reason));
                            }});
  kubernetes_->start();
}

void Agent::watch_removal() {
  if (config_.kubernetes.daemon_set.empty()) return;
  removal_watch_ =
      std::make_unique<RemovalWatch>(context_, kubernetes_connection_->client(), config_.kubernetes.daemon_set,
                                     [this](bool gone) { uninstalled(gone); });
  for (asio::awaitable<void>& watch : removal_watch_->run())
    spawn_on(context_, std::move(watch), [this](const std::string& reason) {
      if (!stopping_)
        log::error(log::Part::agent, "no longer hears when its DaemonSet is deleted, leaving what it set",
                   {{"reason", reason}});
    });
}

void Agent::start_kubernetes_node() {
  const config::KubernetesConfig& config = config_.kubernetes;
  if (!config.lease && !config.inventory && config.labels == config::KubernetesLabels::off)
    return parts_.set("kubernetes-node", PartState::off, "kubernetes.lease, inventory and labels are off");
  kubernetes_node_ = std::make_unique<KubernetesNodePart>(
      context_, *kubernetes_connection_, config, config_.node.name,
      KubernetesNodePart::Sources{
          .facts = [this]() -> const model::NodeFacts* {
            return discovery_ && discovery_->complete() ? &discovery_->inventory().facts() : nullptr;
          },
          .removal_problem = [this]() -> std::string {
            const std::optional<Error> problem = removal_watch_ ? removal_watch_->problem() : std::nullopt;
            return problem ? problem->text() : std::string();
          },
          .on_state = [this](PartState state,
                             std::string reason) { parts_.set("kubernetes-node", state, std::move(reason)); }});
  kubernetes_node_->start();
}

void Agent::uninstalled(bool gone) {
  if (gone && !uninstalled_)
    log::warning(log::Part::agent, "the DaemonSet is deleted: what this agent set on the node goes with it");
  uninstalled_ = gone;
  if (kubernetes_node_) kubernetes_node_->leave(gone);
  if (node_status_) node_status_->leave(gone);
}

void Agent::stop_kubernetes() {
  if (kubernetes_) kubernetes_->stop();
  if (removal_watch_) removal_watch_->stop();
  if (kubernetes_node_) kubernetes_node_->stop();
  if (node_status_) node_status_->stop(kubernetes_connection_->hold());
  if (kubernetes_connection_) kubernetes_connection_->stop();
}

// The agent goes for good, and not for another one to come.
void Agent::leave_node() {
  if (uninstalled_) leave_cni();
  if (!uninstalled_ || config_.policy.mode == config::PolicyMode::off) return;
  if (const Result<> removed = enforcement::Enforcement::remove(enforcement_options(config_.policy));
      removed.has_error())
    log::error(log::Part::policy, "something of the policy is left in the kernel: `omnitide-agent policy detach`",
               {{"reason", removed.error().text()}});
  ::unlink((config_.paths.state_dir + "/kubernetes-objects").c_str());
}

}  // namespace omnitide::daemon
