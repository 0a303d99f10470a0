#include "agent/daemon/health_remedy.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "agent/config/health_keys.hpp"
#include "agent/daemon/health_units.hpp"

namespace omnitide::daemon {

using health::Action;
using health::ActionKind;
using health::Verdict;

namespace {

constexpr std::string_view kLinkCondition = "NetworkDegraded";

// Whether a check of links names this one. Nothing while none has said anything.
std::optional<bool> link_fault(const std::string& link, const health::ConditionStore& store) {
  std::optional<bool> out;
  for (const health::ConditionEntry& entry : store.entries()) {
    const health::Finding& finding = entry.settled;
    if (finding.condition != kLinkCondition || finding.verdict == Verdict::unknown) continue;
    const bool named = std::ranges::find(finding.evidence, std::pair<std::string, std::string>("device", link)) !=
                       finding.evidence.end();
    out = out.value_or(false) || (finding.verdict == Verdict::bad && named);
  }
  return out;
}

std::optional<bool> unit_fault(const std::string& unit, const health::ConditionStore& store) {
  const health::ConditionEntry* entry = store.find(kUnitCondition, unit_check(unit));
  if (entry == nullptr || entry->settled.verdict == Verdict::unknown) return std::nullopt;
  return entry->settled.verdict == Verdict::bad && entry->settled.reason == kUnitFailed;
}

}  // namespace

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
  std::vector<Action> disk;
  if (config.remediation.vacuum_journal > 0) disk.push_back({ActionKind::vacuum_journal, ""});
  if (!config.remediation.clean.empty()) disk.push_back({ActionKind::clean, ""});
  if (!disk.empty()) out.push_back({"DiskPressure", "", std::move(disk)});
  for (const std::string& link : config.remediation.reset_links)
    out.push_back({std::string(kLinkCondition), link, {Action{ActionKind::reset_link, link}}});
  if (!config.remediation.restart_resolver.empty())
    out.push_back({"DNSUnavailable", "", {Action{ActionKind::restart_resolver, config.remediation.restart_resolver}}});
  for (const std::string& condition : config.remediation.reboot_for)
    if (condition != kUnitCondition) out.push_back({condition, "", {Action{ActionKind::reboot, ""}}});
  return out;
}

health::Bounds health_bounds(const config::HealthConfig& config) {
  health::Bounds out;
  out.enabled = config.remediation.enabled;
  out.dry_run = config.remediation.dry_run;
  out.restarts = config.remediation.restarts;
  out.repeats = config.remediation.repeats;
  out.actions = config.remediation.actions;
  out.reboots = config.remediation.reboot_for.empty() ? 0 : 1;
  // Some checks take a minute between two rounds, and believe what they see after two or three.
  constexpr int kRounds = 5;
  out.verify_by_checks = std::max(out.verify_by_checks, kRounds * config.interval);
  // What systemd itself does about a unit that has failed (OnFailure=, Upholds=) comes first. Flapping is held off by
  // cooldown, backoff and budgets, and by how long a unit must stay well to count as mended.
  out.hold = std::chrono::milliseconds(200);
  out.cooldown = std::chrono::seconds(10);
  for (const std::string& text : config.remediation.windows)
    if (const auto window = config::parse_window(text))
      out.windows.push_back({window->weekday, window->begin, window->end});
  return out;
}

health::QuarantineBounds quarantine_bounds(const config::HealthConfig& config) {
  health::QuarantineBounds out;
  out.conditions = config.remediation.cordon_for;
  out.enabled = config.remediation.enabled;
  out.dry_run = config.remediation.dry_run;
  out.repeats = config.remediation.repeats;
  return out;
}

std::vector<health::Fault> health_faults(const std::vector<health::Ladder>& ladders,
                                         const health::ConditionStore& store) {
  std::vector<health::Fault> out;
  const std::vector<model::Condition> conditions = store.conditions();
  for (const health::Ladder& ladder : ladders) {
    if (!ladder.subject.empty()) {
      const std::optional<bool> fault =
          ladder.condition == kLinkCondition ? link_fault(ladder.subject, store) : unit_fault(ladder.subject, store);
      if (fault) out.push_back({ladder.condition, ladder.subject, *fault});
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

health::QuarantineState used_up(const health::QuarantineBounds& bounds) {
  health::QuarantineState out;
  out.ledger.assign(bounds.repeats, std::chrono::milliseconds{0});
  return out;
}

}  // namespace omnitide::daemon
