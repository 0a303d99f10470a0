// The agent's network policy: its part, and what the local API gets from it.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "agent/daemon/agent.hpp"
#include "agent/daemon/policy_report.hpp"
#include "omnitide/node/v1/local.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;

namespace {

// The package makes the folder; what holds is what lies in it.
bool holds_pins(const std::string& folder) {
  std::error_code error;
  const std::filesystem::directory_iterator entries(folder, error);
  return !error && entries != std::filesystem::directory_iterator();
}

}  // namespace

void Agent::start_policy() {
  if (config_.policy.mode == config::PolicyMode::off) {
    const bool left = holds_pins(config_.policy.pin_dir);
    return parts_.set("policy", PartState::off,
                      left ? fmt::format("policy.mode is off, but what an earlier agent pinned in {} still holds: "
                                         "`omnitide-agent policy detach` takes it away",
                                         config_.policy.pin_dir)
                           : "policy.mode is off");
  }
  policy_ = std::make_unique<PolicyPart>(
      context_, pool_, config_.policy, config_.node.name, [this] { policy_changed(); }, config_.kubernetes.enabled);
  parts_.set("policy", PartState::starting, "loading programs and reading policies");
  const registration::DesiredFile file(config_.paths.state_dir);
  if (Result<registration::DesiredState> last = file.load(); last.has_value())
    policy_->set_desired(std::make_shared<const registration::DesiredState>(std::move(*last)));
  policy_->start();
}

void Agent::policy_changed() {
  if (!policy_->failed().empty()) {
    parts_.set("policy", PartState::failed, policy_->failed());
    return state_changed();
  }
  const PolicyReport& report = policy_->report();
  if (registration_) registration_->set_applied(report.applied);
  if (node_status_) node_status_->policy_faults(report.faults);
  const auto wrong = std::ranges::count_if(report.faults, [](const policy::Fault& fault) { return !fault.applied; });
  std::size_t enforced = 0, pending = 0, broken = 0;
  for (const enforcement::EndpointStatus& endpoint : report.enforcement.endpoints)
    ++(endpoint.pending.empty() ? enforced : pending);
  for (const enforcement::DeviceStatus& device : report.enforcement.devices)
    broken += device.problem.empty() ? 0U : 1U;
  std::string text =
      fmt::format("{} {} endpoints by {} objects",
                  config_.policy.mode == config::PolicyMode::audit ? "audits" : "enforces", enforced, report.objects);
  if (pending > 0) text += fmt::format("; {} without a device yet", pending);
  if (broken > 0) text += fmt::format("; {} devices without a program", broken);
  if (wrong > 0) text += fmt::format("; {} faults: `omnitide-agent policy status`", wrong);
  if (!report.enforcement.warning.empty()) text += "; " + report.enforcement.warning;
  if (!report.failure.empty()) text = fmt::format("the last policy stays: {}", report.failure);
  const bool good = report.failure.empty() && wrong == 0 && broken == 0 && report.enforcement.warning.empty();
  parts_.set("policy", good ? PartState::on : PartState::degraded, text);
  state_changed();
}

void Agent::add_policy(LocalSources& sources) {
  const auto off = [this]() -> Result<> {
    if (policy_) return {};
    return fail(Code::failed_precondition, "network policy is off on this node")
        .with_hint("set policy.mode to audit or enforce");
  };
  sources.policy = [this, off](node::v1::PolicyStatus& out) -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    policy_->refresh_counters();
    fill(policy_->report(), out);
    return {};
  };
  sources.policy_documents = [this, off](node::v1::PolicyTextList& out) -> asio::awaitable<Result<>> {
    if (Result<> ready = off(); ready.has_error()) co_return ready;
    const auto add = [&out](const std::string& name, const std::string& text) {
      node::v1::PolicyText& item = *out.add_items();
      item.set_name(name);
      item.set_text(text);
    };
    if (const registration::DesiredRef& desired = policy_->desired())
      for (const registration::DesiredDocument& document : desired->documents)
        add(document.name, document.text);
    if (!kubernetes_) co_return Result<>();
    const Result<PolicyTexts> objects = co_await kubernetes_->objects();
    if (objects.has_error()) co_return Result<>(objects.error());
    for (const auto& [source, text] : *objects)
      add(source, text);
    co_return Result<>();
  };
  sources.policy_wait = [this, off](std::chrono::milliseconds timeout,
                                    node::v1::PolicyWaitResponse& out) -> asio::awaitable<Result<>> {
    if (Result<> ready = off(); ready.has_error()) co_return ready;
    const PolicyPart::Waited waited = co_await policy_->wait(timeout);
    out.set_enforced(waited.enforced);
    out.set_reason(waited.reason);
    co_return Result<>();
  };
  sources.flows = [this, off](std::uint64_t after, std::chrono::milliseconds patience,
                              node::v1::FlowList& out) -> asio::awaitable<Result<>> {
    constexpr std::size_t kMost = 500;
    if (Result<> ready = off(); ready.has_error()) co_return ready;
    policy_->refresh_counters();
    const PolicyPart::Flows flows = co_await policy_->flows(after, kMost, patience);
    fill(flows, config_.node.name, out);
    co_return Result<>();
  };
}

}  // namespace omnitide::daemon
