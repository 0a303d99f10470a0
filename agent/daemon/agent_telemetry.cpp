// The agent's telemetry: its part, what it is told of, and what the local API gets from it.
#include <cstdlib>
#include <memory>

#include "agent/daemon/agent.hpp"
#include "agent/daemon/part_conditions.hpp"
#include "agent/registration/identity.hpp"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
using model::PartState;

void Agent::start_telemetry() {
  if (config_.telemetry.brokers.empty())
    return parts_.set("telemetry", PartState::off, "telemetry.brokers names no broker");
  TelemetryPlace place{.state_dir = config_.paths.state_dir, .node_id = {}, .credentials_directory = {}};
  if (const char* folder = std::getenv("CREDENTIALS_DIRECTORY"); folder != nullptr)
    place.credentials_directory = folder;
  if (registration_) {
    place.node_id = registration_->node_id();
  } else {
    const Result<registration::Identity> identity = registration::Identity::open(config_.paths.state_dir);
    if (identity.has_error()) return parts_.set("telemetry", PartState::failed, identity.error().text());
    place.node_id = identity->node_id();
  }
  const auto on_state = [this](PartState state, std::string reason, std::vector<std::string> urls) {
    parts_.set("telemetry", state, std::move(reason), std::move(urls));
  };
  const auto rediscover = [this] {
    if (discovery_) discovery_->read_all();
  };
  telemetry_ = std::make_unique<TelemetryPart>(
      context_, pool_, config_.telemetry, std::move(place), telemetry_sources(), ring_,
      TelemetryFeed::About{.node_name = config_.node.name, .started = started_}, on_state, rediscover);
  if (discovery_ && discovery_->complete()) telemetry_->feed().facts_changed(facts_sha256_);
  if (registration_) certificate_expires_ = registration_->view().certificate_expires;
  parts_.on_change([this](std::string_view name) {
    if (name != "telemetry") telemetry_->feed().conditions_changed();
  });
  telemetry_->start();
}

TelemetryFeed::Sources Agent::telemetry_sources() {
  return {.collect = [this] { return metrics_->collect(); },
          .settled =
              [this] {
                for (const model::PartStatus& part : parts_.all())
                  if (part.name == "ebpf-metrics" && part.state == PartState::starting) return false;
                return (!discovery_ || discovery_->complete()) && (!policy_ || policy_->started());
              },
          .facts = [this]() -> const model::NodeFacts* {
            return discovery_ && discovery_->complete() ? &discovery_->inventory().facts() : nullptr;
          },
          .conditions =
              [this](const std::vector<model::Condition>& before) {
                std::vector<model::Condition> out =
                    part_conditions(parts_.all(), not_ready_because(), before, wall_now());
                if (health_)
                  for (model::Condition& condition : health_->conditions())
                    out.push_back(std::move(condition));
                return out;
              },
          .policy = [this] { return policy_.get(); }};
}

void Agent::tell_telemetry() {
  if (!telemetry_) return;
  telemetry_->feed().conditions_changed();
  if (!registration_) return;
  const std::optional<WallTime> expires = registration_->view().certificate_expires;
  if (std::exchange(certificate_expires_, expires) != expires && expires) telemetry_->certificate_changed();
}

void Agent::add_telemetry(LocalSources& sources) {
  const auto off = [this]() -> Result<> {
    if (telemetry_ && telemetry_->enabled()) return {};
    return fail(Code::failed_precondition, "telemetry is off on this node")
        .with_hint("name a broker in telemetry.brokers");
  };
  sources.telemetry = [this, off](node::v1::TelemetryStatus& out) -> Result<> {
    if (Result<> ready = off(); ready.has_error()) return ready;
    telemetry_->fill(out);
    return {};
  };
  sources.telemetry_messages = [this, off](std::uint64_t after, std::chrono::milliseconds patience,
                                           node::v1::TelemetryMessageList& out) -> asio::awaitable<Result<>> {
    if (Result<> ready = off(); ready.has_error()) co_return ready;
    co_await telemetry_->messages(after, patience, out);
    co_return Result<>();
  };
}

}  // namespace omnitide::daemon
