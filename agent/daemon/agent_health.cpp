// The agent's health: its part, whom it tells, and what the local API gets from it.
#include <algorithm>
#include <memory>

#include "agent/codec/facts_codec.hpp"
#include "agent/daemon/agent.hpp"
#include "agent/daemon/part_conditions.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;
using model::PartState;

void Agent::start_health() {
  if (!config_.health.enabled) return parts_.set("health", PartState::off, "health.enabled is false");
  const Result<Root> root = Root::machine(config_.paths.host_root);
  if (root.has_error()) return parts_.set("health", PartState::failed, root.error().message);
  HealthPart::Sources sources{
      .certificate = [this]() -> std::optional<HealthPart::Certificate> {
        if (!registration_) return std::nullopt;
        const registration::View view = registration_->view();
        if (!view.certificate_begins || !view.certificate_expires || !view.certificate_renews) return std::nullopt;
        return HealthPart::Certificate{*view.certificate_begins, *view.certificate_expires, *view.certificate_renews};
      },
      .registry_silence = [this]() -> std::optional<std::chrono::duration<double>> {
        if (!registration_) return std::nullopt;
        // A clock that was set meanwhile does not make the silence longer than the agent has run.
        const std::chrono::duration<double> since_start = std::chrono::steady_clock::now() - started_steady_;
        const std::optional<WallTime> heard = registration_->view().last_acknowledged;
        if (!heard) return since_start;
        return std::min(since_start, std::chrono::duration<double>(wall_now() - *heard));
      },
      .ask_allowance = {},
      .on_change = [this] { health_changed(); },
      .on_event =
          [this](const v1::HealthEvent& event) {
            if (node_status_) node_status_->event(event);
          },
      .on_quarantine = {},
      .on_state = [this](PartState state, std::string reason) { parts_.set("health", state, std::move(reason)); }};
  if (registration_)
    sources.ask_allowance = [this](std::function<void(health::Allowance)> done) {
      registration_->ask_reboot([done = std::move(done)](const Result<registration::RebootAnswer>& answer) {
        if (answer.has_error()) return done(health::Allowance::unreachable);
        done(*answer == registration::RebootAnswer::granted ? health::Allowance::granted : health::Allowance::refused);
      });
    };
  if (node_status_)
    sources.on_quarantine = [this](const std::string& condition, bool done) {
      node_status_->want_cordon(condition, done);
    };
  health_ = std::make_unique<HealthPart>(context_, pool_, *root, config_.health,
                                         HealthPart::Place{config_.paths.state_dir, boot_id_}, std::move(sources));
  health_->start();
}

// Telemetry compares by itself. The registry is told of what differs in more than its words: each statement is a
// generation of its own.
void Agent::health_changed() {
  if (telemetry_) telemetry_->feed().conditions_changed();
  if (node_status_) node_status_->conditions_changed();
  if (!registration_ || !health_) return;
  std::vector<model::Condition> conditions = health_->conditions();
  if (same_conditions(conditions, stated_conditions_)) return;
  registration_->set_conditions(codec::serialize_conditions(conditions));
  stated_conditions_ = std::move(conditions);
}

void Agent::add_health(LocalSources& sources) {
  const auto off = [this]() -> Result<> {
    if (health_) return {};
    return fail(Code::failed_precondition, "health is off on this node").with_hint("set health.enabled");
  };
  sources.health = [this, off](v1::HealthStatus& out) -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    health_->fill(out);
    return {};
  };
  sources.health_history = [this, off](v1::HealthHistory& out) -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    health_->fill_history(out);
    return {};
  };
  sources.health_pause = [this, off](std::chrono::seconds time) -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    return health_->pause(time);
  };
  sources.health_resume = [this, off]() -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    return health_->resume();
  };
  sources.health_run = [this, off](std::string check, v1::HealthStatus& out) -> asio::awaitable<Result<>> {
    if (Result<> ready = off(); ready.has_error()) co_return ready;
    if (Result<> ran = co_await health_->run_check(std::move(check)); ran.has_error()) co_return ran;
    health_->fill(out);
    co_return Result<>();
  };
}

}  // namespace omnitide::daemon
