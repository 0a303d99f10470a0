// What health decides of new work for the node, and what came of it.
#include <fmt/format.h>

#include <utility>

#include "agent/base/log.hpp"
#include "agent/daemon/health_part.hpp"
#include "agent/daemon/health_remedy.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

using log::Part;
using model::ConditionStatus;

namespace {

constexpr const char* kCordonStep = "cordon";

}  // namespace

// Where it is not asked for, and was not before, nobody is bothered.
void HealthPart::start_quarantine() {
  const health::QuarantineState& state = quarantine_->saved();
  if (!sources_.on_quarantine || (state.condition.empty() && config_.remediation.cordon_for.empty())) return;
  sources_.on_quarantine(state.condition, state.done);
}

void HealthPart::decide_quarantine() {
  if (!sources_.on_quarantine) return;
  health::QuarantineWorld world{.running = decider_->saved().running, .present = {}, .blocked = false};
  for (const model::Condition& each : store_.conditions())
    if (each.status == ConditionStatus::true_) world.present.push_back(each.type);
  world.blocked = decider_->paused(wall_now()) || locked();
  health::QuarantineState before = quarantine_->saved();
  for (const health::Decision& decision : quarantine_->decide(world)) {
    record("remedy", kCordonStep, std::string(name(decision.outcome)), decision.condition,
           fmt::format("{}: {}", decision.condition, decision.reason));
    log::warning(Part::health, fmt::format("{}: {} {}", decision.condition, name(decision.outcome), kCordonStep),
                 {{"reason", decision.reason}});
  }
  const health::QuarantineState& now = quarantine_->saved();
  if (now.condition == before.condition) return;
  cordon_held_.clear();
  // What the disk does not hold is not done: a budget that a crash forgets is none.
  if (const Result<> kept = save(); kept.has_error() && !now.condition.empty()) {
    if (complaint_.pass(std::chrono::steady_clock::now()))
      log::error(Part::health, "the state of health is not saved, not cordoning", {{"reason", kept.error().text()}});
    quarantine_.emplace(quarantine_bounds(config_), std::move(before));
    return;
  }
  sources_.on_quarantine(now.condition, now.done);
}

void HealthPart::cordoned(bool done) {
  const std::string condition = quarantine_->saved().condition;
  quarantine_->cordoned(done);
  cordon_held_.clear();
  dirty_ = true;
  record("remedy", kCordonStep, done ? "done" : "held", condition,
         fmt::format("{}: {}", condition, done ? "the node takes no new work" : "another node has its slot now"));
  log::warning(Part::health, done ? "the node is cordoned" : "the node is uncordoned, another one has its slot now",
               {{"condition", condition}});
}

void HealthPart::cordon_held(const std::string& reason) {
  const std::string condition = quarantine_->saved().condition;
  cordon_held_ = reason;
  record("remedy", kCordonStep, "held", condition, fmt::format("{}: {}", condition, reason));
  log::warning(Part::health, "the node is not cordoned", {{"condition", condition}, {"reason", reason}});
}

void HealthPart::fill_quarantine(node::v1::HealthStatus& out) const {
  const health::QuarantineState& state = quarantine_->saved();
  for (const std::string& condition : config_.remediation.cordon_for) {
    node::v1::HealthRemedy& remedy = *out.add_remedies();
    remedy.set_condition(condition);
    remedy.add_steps(kCordonStep);
    remedy.set_tried(static_cast<std::uint32_t>(state.ledger.size()));
    if (state.condition != condition) continue;
    remedy.set_present(true);
    remedy.set_next(kCordonStep);
    remedy.set_not_now(state.done ? "it was done; the node takes work again when it was well for five minutes"
                                  : cordon_held_);
  }
}

}  // namespace omnitide::daemon
