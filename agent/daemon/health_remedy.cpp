#include "agent/daemon/health_remedy.hpp"

#include <algorithm>

#include "agent/config/health_keys.hpp"
#include "agent/daemon/health_units.hpp"

namespace omnitide::daemon {

using health::Action;
using health::ActionKind;

std::vector<health::Ladder> health_ladders(const config::HealthConfig& config) {
  std::vector<health::Ladder> out;
  const auto reboots_for = [&config](std::string_view condition) {
    return std::ranges::find(config.remediation.reboot_for, condition) != config.remediation.reboot_for.end();
  };
  for (const std::string& unit : config.units) {
    health::Ladder ladder{std::string(kUnitCondition), unit, {Action{ActionKind::restart_unit, unit}}};
    if (reboots_for(kUnitCondition)) ladder.steps.push_back({ActionKind::reboot, ""});
    out.push_back(std::move(ladder));
  }
  for (const std::string& condition : config.remediation.reboot_for)
    if (condition != kUnitCondition) out.push_back({condition, "", {Action{ActionKind::reboot, ""}}});
  return out;
}

health::Bounds health_bounds(const config::HealthConfig& config) {
  health::Bounds out;
  out.enabled = config.remediation.enabled;
  out.dry_run = config.remediation.dry_run;
  out.restarts = config.remediation.restarts;
  out.actions = config.remediation.actions;
  out.reboots = config.remediation.reboot_for.empty() ? 0 : 1;
  out.hold = std::chrono::seconds(2);
  out.cooldown = std::chrono::seconds(10);
  for (const std::string& text : config.remediation.windows)
    if (const auto window = config::parse_window(text))
      out.windows.push_back({window->weekday, window->begin, window->end});
  return out;
}

std::vector<health::Fault> health_faults(const std::vector<health::Ladder>& ladders,
                                         const health::ConditionStore& store) {
  std::vector<health::Fault> out;
  const std::vector<model::Condition> conditions = store.conditions();
  for (const health::Ladder& ladder : ladders) {
    if (!ladder.subject.empty()) {
      const health::ConditionEntry* entry = store.find(ladder.condition, unit_check(ladder.subject));
      if (entry != nullptr && entry->settled.verdict != health::Verdict::unknown)
        out.push_back({ladder.condition, ladder.subject,
                       entry->settled.verdict == health::Verdict::bad && entry->settled.reason == kUnitFailed});
      continue;
    }
    const auto found = std::ranges::find(conditions, ladder.condition, &model::Condition::type);
    if (found != conditions.end() && found->status != model::ConditionStatus::unknown)
      out.push_back({ladder.condition, "", found->status == model::ConditionStatus::true_});
  }
  return out;
}

health::DeciderState used_up(const health::Bounds& bounds) {
  health::DeciderState out;
  for (std::uint32_t i = 0; i < bounds.actions; ++i)
    out.ledger.push_back({std::chrono::milliseconds{0}, {ActionKind::restart_unit, ""}, "", ""});
  return out;
}

}  // namespace omnitide::daemon
