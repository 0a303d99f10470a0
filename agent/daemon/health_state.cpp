#include "agent/daemon/health_state.hpp"

#include <algorithm>
#include <chrono>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/agent/v1/health_state.pb.h"

namespace omnitide::daemon {

namespace stored = agent::v1;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kLargest = std::size_t{4} << 20U, kMostLogs = 256;

WallTime wall(std::int64_t count) { return WallTime{milliseconds(count)}; }
std::int64_t count(WallTime time) { return time.time_since_epoch().count(); }

health::ConditionEntry from(const stored::SavedCondition& in) {
  health::ConditionEntry out;
  out.settled = {in.condition(), in.check(),   static_cast<health::Verdict>(std::min(in.verdict(), 2U)),
                 in.reason(),    in.message(), {}};
  for (const stored::SavedEvidence& each : in.evidence())
    out.settled.evidence.emplace_back(each.name(), each.value());
  out.since = wall(in.since_milliseconds());
  out.seen = wall(in.seen_milliseconds());
  return out;
}

void fill(const health::ConditionEntry& entry, stored::SavedCondition& out) {
  out.set_condition(entry.settled.condition);
  out.set_check(entry.settled.check);
  out.set_verdict(static_cast<std::uint32_t>(entry.settled.verdict));
  out.set_reason(entry.settled.reason);
  out.set_message(valid_utf8(entry.settled.message));
  for (const auto& [name, value] : entry.settled.evidence) {
    stored::SavedEvidence& each = *out.add_evidence();
    each.set_name(name);
    each.set_value(valid_utf8(value));
  }
  out.set_since_milliseconds(count(entry.since));
  out.set_seen_milliseconds(count(entry.seen));
}

health::DeciderState from(const stored::HealthState& in) {
  health::DeciderState out;
  out.running = milliseconds(in.running_milliseconds());
  out.boot_time = milliseconds(in.boot_milliseconds());
  out.boot_id = in.boot_id();
  for (const stored::SavedAction& each : in.ledger()) {
    // A kind of a newer version still counts for the node.
    const health::ActionKind kind = health::action_kind(each.kind()).value_or(health::ActionKind::restart_unit);
    out.ledger.push_back(
        {milliseconds(each.time_milliseconds()), {kind, each.target()}, each.condition(), each.subject()});
  }
  for (const stored::SavedEpisode& each : in.episodes()) {
    health::Episode episode;
    episode.condition = each.condition();
    episode.subject = each.subject();
    episode.present = each.present();
    episode.since = milliseconds(each.since_milliseconds());
    episode.cleared = milliseconds(each.cleared_milliseconds());
    episode.step = each.step();
    episode.tried = each.tried();
    episode.verifying = each.verifying();
    episode.told_exhausted = each.told_exhausted();
    episode.acted = milliseconds(each.acted_milliseconds());
    episode.acted_boot = each.acted_boot();
    out.episodes.push_back(std::move(episode));
  }
  out.paused = in.paused();
  out.paused_until = wall(in.paused_until_milliseconds());
  return out;
}

health::RestartCount from(const stored::SavedRestarts& in) {
  health::RestartCount out{in.unit(), in.counter(), milliseconds(in.seen_milliseconds()), {}};
  for (const std::int64_t time : in.times_milliseconds())
    if (out.times.size() < health::ServiceRestarts::kRemembered) out.times.emplace_back(time);
  return out;
}

void fill(const health::RestartCount& restarts, stored::SavedRestarts& out) {
  out.set_unit(restarts.unit);
  out.set_counter(restarts.counter);
  out.set_seen_milliseconds(restarts.seen.count());
  for (const milliseconds time : restarts.times)
    out.add_times_milliseconds(time.count());
}

health::QuarantineState from(const stored::SavedQuarantine& in) {
  health::QuarantineState out{in.condition(), in.done(), {}};
  for (const std::int64_t time : in.ledger_milliseconds())
    out.ledger.emplace_back(time);
  return out;
}

void fill(const health::QuarantineState& state, stored::SavedQuarantine& out) {
  out.set_condition(state.condition);
  out.set_done(state.done);
  for (const milliseconds time : state.ledger)
    out.add_ledger_milliseconds(time.count());
}

void fill(const health::DeciderState& state, stored::HealthState& out) {
  out.set_running_milliseconds(state.running.count());
  out.set_boot_milliseconds(state.boot_time.count());
  out.set_boot_id(state.boot_id);
  for (const health::LedgerEntry& entry : state.ledger) {
    stored::SavedAction& each = *out.add_ledger();
    each.set_time_milliseconds(entry.time.count());
    each.set_kind(std::string(health::name(entry.action.kind)));
    each.set_target(entry.action.target);
    each.set_condition(entry.condition);
    each.set_subject(entry.subject);
  }
  for (const health::Episode& episode : state.episodes) {
    stored::SavedEpisode& each = *out.add_episodes();
    each.set_condition(episode.condition);
    each.set_subject(episode.subject);
    each.set_present(episode.present);
    each.set_since_milliseconds(episode.since.count());
    each.set_cleared_milliseconds(episode.cleared.count());
    each.set_step(episode.step);
    each.set_tried(episode.tried);
    each.set_verifying(episode.verifying);
    each.set_told_exhausted(episode.told_exhausted);
    each.set_acted_milliseconds(episode.acted.count());
    each.set_acted_boot(episode.acted_boot);
  }
  out.set_paused(state.paused);
  out.set_paused_until_milliseconds(count(state.paused_until));
}

}  // namespace

Result<HealthSaved> load_health(const std::string& path) {
  const Result<std::string> text = read_file(path, kLargest);
  if (text.has_error() && text.error().code == Code::not_found) return HealthSaved{};
  if (text.has_error()) return text.error();
  stored::HealthState in;
  if (const Result<> parsed = codec::from_json(*text, in); parsed.has_error())
    return fail(Code::data_loss, path + " is damaged: " + parsed.error().message);
  HealthSaved out;
  for (const stored::SavedCondition& each : in.conditions())
    out.conditions.push_back(from(each));
  out.decider = from(in);
  out.kernel_sequence = in.kernel_sequence();
  for (const auto& [log, position] : in.log_positions())
    if (out.log_positions.size() < kMostLogs) out.log_positions[log] = position;
  for (const stored::SavedRestarts& each : in.restarts())
    if (out.restarts.size() < health::kRestartedServices.size()) out.restarts.push_back(from(each));
  out.quarantine = from(in.quarantine());
  return out;
}

Result<> save_health(const std::string& path, const HealthSaved& saved) {
  stored::HealthState out;
  for (const health::ConditionEntry& entry : saved.conditions)
    fill(entry, *out.add_conditions());
  fill(saved.decider, out);
  out.set_kernel_sequence(saved.kernel_sequence);
  for (const auto& [log, position] : saved.log_positions)
    (*out.mutable_log_positions())[valid_utf8(log)] = valid_utf8(position);
  for (const health::RestartCount& each : saved.restarts)
    fill(each, *out.add_restarts());
  if (!saved.quarantine.condition.empty() || !saved.quarantine.ledger.empty())
    fill(saved.quarantine, *out.mutable_quarantine());
  return write_file_durably(path, codec::to_json(out, codec::JsonForm::pretty), 0600);
}

}  // namespace omnitide::daemon
