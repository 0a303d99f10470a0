// New pods: what omnitide-cni asks of the agent, and the agent's care for that plugin.
#include <memory>

#include "agent/daemon/agent.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;

// The socket is there whether the plugin is wanted or not: where it is chained still, pods wait for an answer.
void Agent::start_cni() {
  if (!config_.kubernetes.enabled) return;
  const bool enforces = config_.policy.mode == config::PolicyMode::enforce;
  const bool wanted = config_.kubernetes.cni.enabled && enforces;
  if (!wanted)
    parts_.set("cni", PartState::off,
               enforces ? "kubernetes.cni.enabled is false" : "policy.mode is not enforce: nothing is closed");
  sandboxes_ = std::make_unique<Sandboxes>(config_.node.name);
  cni_ = std::make_unique<CniPart>(
      context_, pool_, config_, wanted,
      CniPart::Hooks{
          .on_sandbox = [this](
                            cni::Sandbox sandbox,
                            std::chrono::milliseconds timeout) { return judge_sandbox(std::move(sandbox), timeout); },
          .on_gone =
              [this](const cni::Sandbox& sandbox) {
                if (std::optional<PolicyText> text = sandboxes_->erase(sandbox); text && policy_)
                  policy_->add_kubernetes({std::move(*text)}, false);
              },
          .not_now = [this]() -> std::string {
            if (!policy_->failed().empty()) return "network policy is off: " + policy_->failed();
            return policy_->started() ? "" : "network policy is being loaded";
          },
          .on_state = [this](PartState state, std::string reason) { parts_.set("cni", state, std::move(reason)); }});
  if (const Result<> started = cni_->start(); started.has_error())
    parts_.set("cni", PartState::failed, started.error().text());
}

void Agent::add_kubernetes_objects(std::vector<PolicyText> changes, bool whole) {
  if (sandboxes_) sandboxes_->amend(changes);
  policy_->add_kubernetes(std::move(changes), whole);
}

asio::awaitable<Result<cni::Answer>> Agent::judge_sandbox(cni::Sandbox sandbox, std::chrono::milliseconds timeout) {
  using State = cni::Answer::State;
  if (config_.policy.mode != config::PolicyMode::enforce)
    co_return cni::Answer{.state = State::open, .reason = "policy.mode is not enforce"};
  if (!policy_->failed().empty()) co_return fail(Code::unavailable, "network policy is off: " + policy_->failed());
  const std::string name = sandbox.name_space + "/" + sandbox.name;
  const std::uint32_t ifindex = sandbox.ifindex;
  Result<std::optional<PolicyText>> text = sandboxes_->put(std::move(sandbox));
  if (text.has_error()) co_return text.error();
  if (*text) policy_->add_kubernetes({std::move(**text)}, false);
  const PolicyPart::Waited waited = co_await policy_->wait_for_pod(name, ifindex, timeout);
  co_return cni::Answer{.state = waited.enforced ? State::judged : State::waiting, .reason = waited.reason};
}

// Before the pins go: then no pod that starts meanwhile is closed by a plugin that nobody answers.
void Agent::leave_cni() {
  if (!cni_) return;
  if (const Result<bool> removed = cni_->remove(); removed.has_error())
    log::error(log::Part::policy, "omnitide-cni is left in the network configuration, take it out by hand",
               {{"reason", removed.error().text()}});
}

}  // namespace omnitide::daemon
