#include "agent/registration/machine.hpp"

#include <algorithm>
#include <array>

namespace omnitide::registration {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

constexpr std::array<std::string_view, 8> kNames{"unjoined",   "joining",   "pending",     "registering",
                                                 "registered", "rejoining", "quarantined", "banned"};
constexpr std::uint32_t kDefaultIntervalSeconds = 30, kMaxIntervalSeconds = 3600;
constexpr auto kSaveTimeEvery = 10min;
constexpr unsigned kTrustFailuresBeforeJoin = 3;
constexpr auto kReportPace = 1s;  // reports of the desired state that change faster go out together

// A renewal is due at two thirds of the life, give or take a twentieth, so that a fleet that joined together does not
// renew together.
// `from` is the later of the certificate's beginning, which registries set a little into the past, and of the moment
// in which it came: else a short certificate would be due as it comes.
WallTime renewal_time(WallTime from, const Validity& validity, std::uint64_t random) {
  const auto life = std::max(validity.not_after - from, milliseconds{0});
  const auto spread = life / 10;
  const milliseconds jitter{
      spread.count() > 0 ? static_cast<std::int64_t>(random % static_cast<std::uint64_t>(spread.count())) : 0};
  return from + life * 2 / 3 - spread / 2 + jitter;
}

}  // namespace

std::string_view name(State state) { return kNames.at(static_cast<std::size_t>(state)); }

Machine::Machine(Settings settings, Saved saved, std::optional<Validity> certificate, Now now)
    : settings_(settings),
      saved_(std::move(saved)),
      backoff_(settings.backoff_base, settings.backoff_cap),
      renew_backoff_(settings.backoff_base, settings.backoff_cap),
      fetch_backoff_(settings.backoff_base, settings.backoff_cap) {
  server_time_ = saved_.server_time;
  server_time_heard_ = now.steady;
  const auto jitter = settings_.start_jitter.count();
  attempt_at_ =
      now.steady +
      milliseconds{jitter > 0 ? static_cast<std::int64_t>(now.random % static_cast<std::uint64_t>(jitter)) : 0};
  if (certificate) {
    use_certificate(*certificate, false, now);
    enter(State::registering, "not yet acknowledged by the registry");
  } else if (settings_.has_token) {
    enter(State::joining, "not yet joined");
  } else {
    enter(State::unjoined, "has no certificate and no join token");
  }
}

WallTime Machine::judged(Now now) const {
  const WallTime stated = server_time_ + std::chrono::floor<milliseconds>(now.steady - server_time_heard_);
  return std::max({now.wall, settings_.built, stated});
}

void Machine::enter(State state, std::string reason) {
  state_ = state;
  reason_ = std::move(reason);
}

void Machine::use_certificate(Validity validity, bool fresh, Now now) {
  certificate_ = validity;
  renew_at_ =
      renewal_time(fresh ? std::max(validity.not_before, judged(now)) : validity.not_before, validity, now.random);
  renew_attempt_at_ = now.steady + (fresh ? 1s : 0s);
  renew_backoff_.reset();
}

void Machine::learn_time(WallTime server_time, Now now) {
  // A registry issues no certificate that ends before its own now: a later time is none.
  if (certificate_ && server_time > certificate_->not_after) return;
  server_time_ = std::max(server_time, server_time_);
  server_time_heard_ = now.steady;
  if (server_time_ - saved_.server_time < kSaveTimeEvery) return;
  saved_.server_time = server_time_;
  dirty_ = true;
}

bool Machine::take_dirty() { return std::exchange(dirty_, false); }

void Machine::set_facts(std::string sha256) {
  has_facts_ = true;
  if (saved_.facts_sha256 == sha256) return;
  saved_.facts_sha256 = std::move(sha256);
  ++saved_.generation;
  dirty_ = true;
}

void Machine::set_conditions(std::string sha256) {
  if (saved_.conditions_sha256 == sha256) return;
  saved_.conditions_sha256 = std::move(sha256);
  ++saved_.generation;
  dirty_ = true;
}

void Machine::set_backoff(milliseconds base, milliseconds cap) {
  backoff_ = Backoff(base, cap);
  renew_backoff_ = Backoff(base, cap);
  fetch_backoff_ = Backoff(base, cap);
}

bool Machine::unacknowledged() const {
  return !introduced_ || send_facts_ || send_conditions_ || saved_.acknowledged_generation < saved_.generation;
}

milliseconds Machine::interval() const {
  const std::uint32_t stated = saved_.heartbeat_interval_seconds;
  return std::chrono::seconds{stated == 0 ? kDefaultIntervalSeconds : std::min(stated, kMaxIntervalSeconds)};
}

bool Machine::renewal_due(Now now) const { return judged(now) >= renew_at_ && now.steady >= renew_attempt_at_; }

bool Machine::wants_fetch() const { return !stated_sha256_.empty() && stated_sha256_ != held_sha256_; }

Step Machine::between_heartbeats(Now now) {
  SteadyTime until = attempt_at_;
  if (state_ == State::registered) {
    if (wants_fetch() && now.steady >= fetch_attempt_at_) return {.verb = Verb::fetch};
    if (renewal_due(now)) return {.verb = Verb::renew};
    const SteadyTime report_at = heard_at_ + kReportPace;
    const bool report = report_due_ && backoff_.attempts() == 0;
    if (report && now.steady >= report_at) {
      report_due_ = false;
      return {.verb = Verb::heartbeat, .generation = saved_.generation};
    }
    if (report) until = std::min(until, report_at);
    if (wants_fetch()) until = std::min(until, fetch_attempt_at_);
  }
  return {.until = until};
}

Step Machine::next(Now now) {
  if (state_ == State::unjoined && settings_.has_token) enter(State::joining, "not yet joined");
  if (state_ == State::unjoined) return {.until = now.steady + 1h};
  if (certificate_ && state_ != State::joining && judged(now) >= certificate_->not_after) state_ = State::rejoining;

  // A change while registered goes out at once; a failed attempt waits for its backoff first.
  const bool change = state_ == State::registered && backoff_.attempts() == 0 && unacknowledged();
  if (!change && now.steady < attempt_at_) return between_heartbeats(now);
  switch (state_) {
    case State::unjoined: break;
    case State::joining:
    case State::pending: return {.verb = Verb::join};
    case State::rejoining: return {.verb = Verb::rejoin};
    case State::registering:
    case State::registered:
    case State::quarantined:
    case State::banned: break;
  }
  // The first facts are on their way within a second of the start; nothing can be put before.
  if (!has_facts_) return {.until = now.steady + 1s};
  // What the node has to say goes before a renewal, which has a third of the certificate's life to happen.
  if (renewal_due(now) && !unacknowledged()) return {.verb = Verb::renew};
  if (!unacknowledged()) {
    report_due_ = false;
    return {.verb = Verb::heartbeat, .generation = saved_.generation};
  }
  const bool stale = saved_.acknowledged_generation < saved_.generation;
  return {.verb = Verb::put,
          .generation = saved_.generation,
          .with_facts = send_facts_ || stale,
          .with_conditions = send_conditions_ || stale};
}

void Machine::accept(const Step& step, const Outcome& outcome, Now now) {
  if (const auto* joined = std::get_if<Joined>(&outcome)) on(*joined, now);
  if (const auto* renewed = std::get_if<Renewed>(&outcome)) on(*renewed, now);
  if (const auto* acknowledged = std::get_if<Acknowledged>(&outcome)) on(*acknowledged, step, now);
  if (const auto* fetched = std::get_if<Fetched>(&outcome)) on(*fetched, now);
  if (const auto* failed = std::get_if<Failed>(&outcome)) on(*failed, step, now);
}

void Machine::on(const Joined& joined, Now now) {
  backoff_.reset();
  trust_failures_ = 0;
  // The pin was proven at whatever clock: this time replaces what was believed before.
  saved_.server_time = server_time_ = joined.server_time;
  server_time_heard_ = now.steady;
  saved_.node_state = joined.pending ? "pending" : "approved";
  saved_.node_state_reason.clear();
  dirty_ = true;
  attempt_at_ = now.steady;
  if (joined.pending || !joined.certificate) {
    enter(State::pending, "waits for an operator's approval");
    attempt_at_ += std::max(joined.poll, std::chrono::seconds{1});
    return;
  }
  use_certificate(*joined.certificate, true, now);
  introduced_ = false;
  enter(State::registering, "not yet acknowledged by the registry");
}

void Machine::on(const Renewed& renewed, Now now) {
  certificate_ = renewed.certificate;
  trust_failures_ = 0;
  learn_time(renewed.server_time, now);
  use_certificate(renewed.certificate, true, now);
  if (state_ != State::rejoining) return;
  backoff_.reset();
  attempt_at_ = now.steady;
  introduced_ = false;
  enter(State::registering, "not yet acknowledged by the registry");
}

void Machine::on(const Fetched& fetched, Now now) {
  trust_failures_ = 0;
  fetch_backoff_.reset();
  fetch_attempt_at_ = now.steady;
  fetch_problem_.clear();
  if (fetched.state) held_sha256_ = fetched.state->sha256;
  // What came may be newer than what the last heartbeat stated; the next one says so if it is not.
  stated_sha256_ = held_sha256_;
  report_due_ = true;
}

void Machine::on(const Acknowledged& ack, const Step& step, Now now) {
  learn_time(ack.server_time, now);
  trust_failures_ = 0;
  heard_at_ = now.steady;
  attempt_at_ = now.steady + interval();
  if (ack.heartbeat_interval_seconds != 0 && ack.heartbeat_interval_seconds != saved_.heartbeat_interval_seconds) {
    saved_.heartbeat_interval_seconds = ack.heartbeat_interval_seconds;
    attempt_at_ = now.steady + interval();
    dirty_ = true;
  }
  if (step.verb == Verb::put) introduced_ = true;
  // A registry that knows a later generation of this node has seen a state that this disk has lost: go past it.
  if (ack.generation > saved_.generation) {
    saved_.generation = ack.generation + 1;
    dirty_ = true;
  }
  send_facts_ = ack.send_facts;
  send_conditions_ = ack.send_conditions;
  const std::uint64_t held =
      send_facts_ || send_conditions_ ? std::min(ack.generation, step.generation - 1) : ack.generation;
  if (step.verb == Verb::put && held != saved_.acknowledged_generation) {
    saved_.acknowledged_generation = held;
    dirty_ = true;
  }
  if (ack.labels_version != saved_.labels_version) {
    // Only a PUT's answer carries the labels; a heartbeat's only says that there are newer ones.
    if (step.verb == Verb::heartbeat) introduced_ = false;
    if (step.verb == Verb::put) {
      saved_.labels_version = ack.labels_version;
      saved_.labels = ack.labels;
      dirty_ = true;
    }
  }
  if (ack.desired_version != saved_.desired_version) {
    saved_.desired_version = ack.desired_version;
    dirty_ = true;
  }
  // A registry that states none leaves the node what it has.
  if (!ack.desired_sha256.empty()) stated_sha256_ = ack.desired_sha256;
  if (!wants_fetch()) fetch_problem_.clear();
  if (ack.renew_now) renew_at_ = std::min(renew_at_, judged(now));
  if (saved_.node_state != "approved") {
    saved_.node_state = "approved";
    saved_.node_state_reason.clear();
    dirty_ = true;
  }
  enter(State::registered, {});
  // An answer that leaves this very statement unacknowledged is no success: without a pace it would be put for ever.
  const bool in_vain =
      step.verb == Verb::put && step.with_facts && saved_.generation == step.generation && unacknowledged();
  if (in_vain) {
    attempt_at_ = now.steady + backoff_.next(now.random);
  } else {
    backoff_.reset();
  }
}

void Machine::back_off(const Failed& failed, Now now) {
  milliseconds wait = backoff_.next(now.random);
  if (failed.retry_after) wait += *failed.retry_after;
  attempt_at_ = now.steady + wait;
}

void Machine::on(const Failed& failed, const Step& step, Now now) {
  // Heartbeats find out by themselves whether the registry is away or refuses this node: a fetch backs off alone.
  if (step.verb == Verb::fetch) {
    fetch_attempt_at_ = now.steady + fetch_backoff_.next(now.random) + failed.retry_after.value_or(0ms);
    report_due_ |= fetch_problem_ != failed.error.text();
    fetch_problem_ = failed.error.text();
    return;
  }
  reason_ = failed.error.message;
  // A renewal has a third of the certificate's life to succeed: it backs off alone, heartbeats go on.
  if (step.verb == Verb::renew && !(failed.by_registry && failed.error.code == Code::permission_denied)) {
    renew_attempt_at_ = now.steady + renew_backoff_.next(now.random) + failed.retry_after.value_or(0ms);
    return;
  }
  back_off(failed, now);
  if (failed.by_registry) return refused(failed, step, now);
  if (failed.error.code == Code::unauthenticated) not_believed(step);
}

// The server's certificate was refused. With a token there is another way to believe it: the pin, which holds at any
// clock and for a registry that was set up anew. A join that fails gives the present certificate its turn again.
void Machine::not_believed(const Step& step) {
  ++trust_failures_;
  if (step.verb == Verb::join && certificate_) enter(State::registering, reason_);
  if (step.verb != Verb::join && settings_.has_token && trust_failures_ % kTrustFailuresBeforeJoin == 0) {
    enter(State::joining, reason_);
  }
}

// The registry's own word.
void Machine::refused(const Failed& failed, const Step& step, Now now) {
  trust_failures_ = 0;
  const std::string& field = failed.error.field;
  switch (failed.error.code) {
    case Code::permission_denied:
      if (field == "state/banned") enter(State::banned, failed.error.message);
      if (field == "state/quarantined") enter(State::quarantined, failed.error.message);
      saved_.node_state = name(state_);
      saved_.node_state_reason = failed.error.message;
      dirty_ = true;
      attempt_at_ = std::max(attempt_at_, now.steady + interval());
      break;
    case Code::not_found:
      // The operator deleted the node: only a token brings it back.
      if (step.verb == Verb::join) break;
      introduced_ = false;
      certificate_.reset();
      saved_.acknowledged_generation = 0;
      dirty_ = true;
      enter(settings_.has_token ? State::joining : State::unjoined,
            "the registry does not know this node: " + failed.error.message);
      break;
    case Code::unauthenticated:
      // The registry's clock may be ahead of ours: its word on expiry counts.
      if (field == "certificate/expired" && certificate_ && step.verb != Verb::join) {
        certificate_->not_after = std::min(certificate_->not_after, judged(now));
        enter(State::rejoining, failed.error.message);
      }
      break;
    case Code::aborted:
      // Another generation or another incarnation is known there: introduce this one anew.
      introduced_ = false;
      if (failed.known_generation && *failed.known_generation >= saved_.generation) {
        saved_.generation = *failed.known_generation + 1;
        dirty_ = true;
      }
      break;
    default: break;
  }
}

}  // namespace omnitide::registration
