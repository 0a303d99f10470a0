// What health tells: changes of conditions, events, decisions, and what it then does.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "agent/base/clock_sync.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/daemon/health_action.hpp"
#include "agent/daemon/health_part.hpp"
#include "agent/daemon/health_remedy.hpp"
#include "agent/daemon/report.hpp"
#include "agent/daemon/tuple.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;
using namespace std::chrono_literals;
using health::Outcome;
using health::Verdict;
using log::Part;

namespace {

constexpr std::chrono::milliseconds kAnswerPatience = 1min;  // for the registry's word on a restart

std::chrono::milliseconds boot_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::milliseconds(now.tv_nsec / 1'000'000);
}

}  // namespace

void HealthPart::record(const std::string& kind, const std::string& subject, const std::string& outcome,
                        const std::string& reason, const std::string& message, const health::Evidence& evidence) {
  v1::HealthEvent event;
  codec::set_time(wall_now(), *event.mutable_time());
  event.set_kind(kind);
  event.set_subject(valid_utf8(subject));
  event.set_outcome(outcome);
  event.set_reason(valid_utf8(reason));
  event.set_message(valid_utf8(message));
  for (const auto& [name, value] : evidence) {
    v1::HealthEvidence& each = *event.add_evidence();
    each.set_name(name);
    each.set_value(valid_utf8(value));
  }
  if (sources_.on_event) sources_.on_event(event);
  const Result<> kept = history_.add(event);
  if (kept.has_error() && complaint_.pass(std::chrono::steady_clock::now()))
    log::warning(Part::health, "the history of health is not written, going on", {{"reason", kept.error().text()}});
}

void HealthPart::settle(health::Finding finding, health::Hysteresis hysteresis, WallTime now) {
  const auto change = store_.apply(std::move(finding), hysteresis, now);
  if (change) changed(*change);
}

void HealthPart::changed(const health::ConditionChange& change) {
  const health::Finding& now = change.finding;
  dirty_ = news_ = true;
  const bool bad = now.verdict == Verdict::bad;
  // That all was well at the start is no news.
  if (!bad && change.before != Verdict::bad) return;
  const std::string is = bad ? "true" : now.verdict == Verdict::good ? "false" : "unknown";
  record("condition", now.condition, is, now.reason, now.message, now.evidence);
  const std::string what = fmt::format("{} is {}: {}", now.condition, is, printable(now.message));
  if (bad)
    log::warning(Part::health, what, {{"reason", now.reason}, {"check", now.check}});
  else
    log::info(Part::health, what, {{"reason", now.reason}, {"check", now.check}});
}

// Once for all that changed together, and not before each check has spoken. On the disk first: since when a condition
// is so would be lost with an agent that is killed right after it told the cluster.
void HealthPart::tell_changes() {
  if (round_ == 0 || !std::exchange(news_, false)) return;
  if (dirty_) (void)keep("going on");
  sources_.on_change();
}

// Whether the state is on the disk now.
bool HealthPart::keep(std::string_view otherwise) {
  const Result<> done = save();
  if (done.has_error() && complaint_.pass(std::chrono::steady_clock::now()))
    log::error(Part::health, fmt::format("the state of health is not saved, {}", otherwise),
               {{"reason", done.error().text()}});
  return done.has_value();
}

void HealthPart::heard(const LogEvent& event) {
  health::Evidence evidence;
  if (event.held_back > 0) evidence.emplace_back("before", std::to_string(event.held_back));
  record("event", event.source, "", event.reason, event.line, evidence);
  dirty_ = true;  // the place in the log, so that it is not told again
  log::warning(Part::health, fmt::format("{}: {}", event.reason, event.line),
               {{"source", event.source}, {"alike_before", std::to_string(event.held_back)}});
}

// A condition that is true already keeps the words that it began with, however often the kernel repeats itself.
void HealthPart::heard(health::Finding finding) {
  const health::ConditionEntry* entry = store_.find(finding.condition, finding.check);
  if (entry != nullptr && entry->settled.verdict == Verdict::bad) finding = entry->settled;
  settle(std::move(finding), {1, 1}, wall_now());
  tell_changes();
}

// What a probe found.
void HealthPart::heard(health::Finding finding, const Probe& probe) {
  const health::ConditionEntry* entry = store_.find(finding.condition, finding.check);
  const bool lasts = entry != nullptr && entry->settled.verdict == Verdict::bad && finding.verdict == Verdict::bad;
  if (probe.words_are_news && lasts && entry->settled.message != finding.message) dirty_ = news_ = true;
  settle(std::move(finding), probe.hysteresis, wall_now());
  tell_changes();
  tell_state();
}

void HealthPart::told_units(const UnitWatch::Units& units) {
  const WallTime now = wall_now();
  for (const discovery::SystemdUnit& unit : units) {
    if (std::ranges::find(config_.units, unit.name) != config_.units.end()) settle(unit_finding(unit), {1, 1}, now);
    if (services_->take(unit, boot_time())) dirty_ = true;
  }
  look_at_services(now);
  tell_changes();
  if (round_ == 0) return;  // the first round of checks decides
  ++round_;
  decide();
}

// With each signal, and with each round: that a service was not restarted for a while is told by nobody. A service that
// was installed meanwhile is watched from then on.
void HealthPart::look_at_services(WallTime now) {
  for (health::Finding& finding : services_->look(boot_time()))
    settle(std::move(finding), {1, 1, 1}, now);
  std::vector<std::string> wanted = units_to_watch();
  if (wanted != watched_units_) units_->watch_others(watched_units_ = std::move(wanted));
}

bool HealthPart::locked() const {
  struct stat ignored {};
  return ::lstat(config_.remediation.lock_file.c_str(), &ignored) == 0;
}

health::World HealthPart::world() const {
  return {.boot_time = boot_time(),
          .wall = wall_now(),
          .boot_id = place_.boot_id,
          .locked = locked(),
          .time_known = clock_in_step(),
          .round = round_,
          .faults = health_faults(decider_->ladders(), store_),
          .allowance = allowance()};
}

health::Allowance HealthPart::allowance() const {
  const SteadyTime now = std::chrono::steady_clock::now();
  if (!sources_.ask_allowance || (asking_ && now - asked_ >= kAnswerPatience)) return health::Allowance::unreachable;
  return now < allowance_ends_ ? allowance_ : health::Allowance::unknown;
}

// An answer is good for a minute; the same lease is given again as long as it lasts.
void HealthPart::ask_allowance() {
  if (std::exchange(asking_, true)) return;
  asked_ = std::chrono::steady_clock::now();
  sources_.ask_allowance([this](health::Allowance said) {
    asking_ = false;
    allowance_ = said;
    allowance_ends_ = std::chrono::steady_clock::now() + 1min;
    if (said == health::Allowance::unreachable)
      log::warning(Part::health, "the registry was not asked for a restart of the node, deciding without it");
    if (!stopping_ && round_ > 0) decide();
  });
}

void HealthPart::decide() {
  const health::World now = world();
  const std::vector<health::Decision> decisions = decider_->decide(now);
  const bool saved = (decisions.empty() && !dirty_) || keep("doing nothing");
  for (const health::Decision& decision : decisions) {
    // What the disk does not hold is not done: a budget that a crash forgets is none.
    if (decision.outcome == Outcome::act && !saved) {
      record("remedy", text(decision.action), "held", decision.condition, "the state cannot be saved");
      continue;
    }
    carry_out(decision);
  }
  decide_quarantine();
  if (!stopping_ && decider_->wants_allowance(world())) ask_allowance();
  const bool open = std::ranges::any_of(decider_->saved().episodes, [](const health::Episode& episode) {
    return (episode.present && !episode.told_exhausted) || episode.verifying;
  });
  if (!open || stopping_) return;
  decide_timer_.expires_after(std::max(decider_->due(world()), 1ms));
  if (!std::exchange(deciding_, true)) spawn(decide_soon());
}

// While something is to be done or verified, each second or when it is due; else after a round.
asio::awaitable<void> HealthPart::decide_soon() {
  bool put_off = true;  // another decision set the time anew
  while (put_off && !stopping_) {
    const auto [error] = co_await decide_timer_.async_wait(kTuple);
    put_off = static_cast<bool>(error);
  }
  deciding_ = false;
  if (!stopping_) decide();
}

void HealthPart::carry_out(const health::Decision& decision) {
  const std::string about =
      decision.subject.empty() ? decision.condition : fmt::format("{} of {}", decision.condition, decision.subject);
  const std::string action = decision.action == health::Action{} ? "nothing" : text(decision.action);
  record("remedy", action, std::string(name(decision.outcome)), decision.condition,
         fmt::format("{}: {}", about, decision.reason));
  const std::string what = fmt::format("{}: {} {}", about, name(decision.outcome), action);
  if (decision.outcome == Outcome::helped)
    log::info(Part::health, what, {{"reason", decision.reason}});
  else
    log::warning(Part::health, what, {{"reason", decision.reason}});
  if (decision.outcome != Outcome::act) return;
  ++acted_;
  spawn(act(decision.action));
}

asio::awaitable<void> HealthPart::act(health::Action action) {
  const Result<> done = co_await do_action(pool_, action);
  if (!done.has_error()) co_return;
  record("remedy", text(action), "refused", "", done.error().text());
  log::error(Part::health, fmt::format("{} was refused, going on", text(action)), {{"reason", done.error().text()}});
}

Result<> HealthPart::pause(std::chrono::seconds time) {
  decider_->pause(time.count() == 0 ? WallTime{} : wall_now() + time);
  record("operator", "remediation", "paused", "", time.count() == 0 ? "until resumed" : "for " + format_duration(time));
  log::info(Part::health, "remediation is paused", {{"for", time.count() == 0 ? "ever" : format_duration(time)}});
  return save();
}

Result<> HealthPart::resume() {
  decider_->resume();
  record("operator", "remediation", "resumed", "", "");
  log::info(Part::health, "remediation is resumed");
  decide();
  return save();
}

}  // namespace omnitide::daemon
