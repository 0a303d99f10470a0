#include "health/remediation/decider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace omnitide::health {

using std::chrono::milliseconds;

namespace {

// A fault that its remedies bring back again and again: as often within this time is a fight.
constexpr milliseconds kFightTime = std::chrono::hours(6);
constexpr unsigned kReturns = 2;
constexpr milliseconds kSoon{1000};
constexpr std::string_view kAsking = "the registry is asked";
// A step whose check says nothing any more has not helped.
constexpr milliseconds kUnseen = std::chrono::minutes(10);

}  // namespace

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::act: return "act";
    case Outcome::would_act: return "would-act";
    case Outcome::helped: return "helped";
    case Outcome::failed: return "failed";
    case Outcome::held: return "held";
    case Outcome::exhausted: return "exhausted";
  }
  return "held";
}

Decider::Decider(std::vector<Ladder> ladders, Bounds bounds, DeciderState saved)
    : ladders_(std::move(ladders)), bounds_(std::move(bounds)), state_(std::move(saved)) {
  // What was tried for a subject that is not listed any more is of no use; the ledger stays.
  std::erase_if(state_.episodes, [this](const Episode& episode) { return ladder_of(episode) == nullptr; });
  for (Episode& episode : state_.episodes) {
    episode.acted_round = 0;
    const std::size_t steps = ladder_of(episode)->steps.size();
    episode.step = std::min(episode.step, static_cast<std::uint32_t>(steps));
    episode.verifying = episode.verifying && episode.step < steps;
  }
}

void Decider::pause(WallTime until) {
  state_.paused = true;
  state_.paused_until = until;
}

void Decider::resume() {
  state_.paused = false;
  state_.paused_until = {};
  for (Episode& episode : state_.episodes) {
    if (!episode.told_exhausted) continue;
    episode.told_exhausted = false;
    episode.step = 0;
  }
}

bool Decider::paused(WallTime now) const {
  return state_.paused && (state_.paused_until == WallTime{} || now < state_.paused_until);
}

const Episode* Decider::episode(std::string_view condition, std::string_view subject) const {
  const auto found = std::ranges::find_if(state_.episodes, [condition, subject](const Episode& each) {
    return each.condition == condition && each.subject == subject;
  });
  return found == state_.episodes.end() ? nullptr : &*found;
}

const Ladder* Decider::ladder_of(const Episode& episode) const {
  const auto found = std::ranges::find_if(ladders_, [&episode](const Ladder& ladder) {
    return ladder.condition == episode.condition && ladder.subject == episode.subject;
  });
  return found == ladders_.end() ? nullptr : &*found;
}

Episode& Decider::episode_of(const Ladder& ladder) {
  for (Episode& each : state_.episodes)
    if (each.condition == ladder.condition && each.subject == ladder.subject) return each;
  Episode fresh;
  fresh.condition = ladder.condition;
  fresh.subject = ladder.subject;
  return state_.episodes.emplace_back(std::move(fresh));
}

// The time of another boot counts from that boot on: what passed while the node was off is not known for certain.
void Decider::advance(const World& world) {
  const bool same = world.boot_id == state_.boot_id;
  const milliseconds passed = same ? world.boot_time - state_.boot_time : world.boot_time;
  state_.running += std::max(passed, milliseconds{0});
  state_.boot_time = same ? std::max(state_.boot_time, world.boot_time) : world.boot_time;
  state_.boot_id = world.boot_id;
  while (!state_.ledger.empty() && state_.running - state_.ledger.front().time >= kBudgetDay)
    state_.ledger.pop_front();
}

std::vector<Decision> Decider::decide(const World& world) {
  advance(world);
  std::vector<Decision> out;
  for (const Fault& fault : world.faults) {
    for (const Ladder& ladder : ladders_)
      if (ladder.condition == fault.condition && ladder.subject == fault.subject)
        observe(episode_of(ladder), fault.present, world, out);
  }
  for (Episode& episode : state_.episodes)
    if (episode.verifying && state_.running - episode.acted >= verification(episode) + kUnseen) fail_step(episode, out);
  if (std::ranges::any_of(state_.episodes, &Episode::verifying)) return out;
  for (const Ladder& ladder : ladders_) {
    Episode& episode = episode_of(ladder);
    if (!episode.present || !bounds_.enabled) continue;
    while (episode.step < ladder.steps.size() && spent(ladder.steps[episode.step]))
      ++episode.step;
    if (episode.step >= ladder.steps.size()) {
      if (!std::exchange(episode.told_exhausted, true))
        out.push_back({Outcome::exhausted, ladder.condition, ladder.subject, {}, "nothing that may be done is left"});
      continue;
    }
    const Action& action = ladder.steps[episode.step];
    const auto [reason, wait] = obstacle(episode, action, world);
    const std::string key = ladder.condition + ' ' + ladder.subject;
    if (!reason.empty()) {
      // What only takes a while is no news.
      if (wait == milliseconds{0} && std::exchange(told_[key], reason) != reason)
        out.push_back({Outcome::held, ladder.condition, ladder.subject, action, reason});
      continue;
    }
    if (bounds_.dry_run) {
      const std::string said = "dry run: " + text(action);
      if (std::exchange(told_[key], said) != said)
        out.push_back({Outcome::would_act, ladder.condition, ladder.subject, action, "dry_run is set"});
      continue;
    }
    told_.erase(key);
    act(episode, action, world, out);
    return out;  // one at a time
  }
  return out;
}

void Decider::observe(Episode& episode, bool present, const World& world, std::vector<Decision>& out) {
  if (episode.verifying) return verify(episode, *ladder_of(episode), world, out);
  if (present == episode.present) return;
  episode.present = present;
  if (!present) {
    episode.cleared = state_.running;
    told_.erase(episode.condition + ' ' + episode.subject);
    return;
  }
  const bool again = episode.tried > 0 && state_.running - episode.cleared < bounds_.relapse;
  episode.since = state_.running;
  episode.told_exhausted = again && episode.told_exhausted;
  if (again) return;
  episode.step = 0;
  episode.tried = 0;
}

void Decider::verify(Episode& episode, const Ladder& ladder, const World& world, std::vector<Decision>& out) {
  const auto fault = std::ranges::find_if(world.faults, [&episode](const Fault& each) {
    return each.condition == episode.condition && each.subject == episode.subject;
  });
  // A round that began before the action says nothing of it.
  if (fault == world.faults.end() || world.round <= episode.acted_round) return;
  const Action& action = ladder.steps[episode.step];
  // A reboot has happened when the boot is another one; until then the fault is expected.
  if (action.kind == ActionKind::reboot && episode.acted_boot == world.boot_id &&
      state_.running - episode.acted < verification(episode))
    return;
  if (!fault->present) {
    // A service that starts and falls over at once has not recovered.
    if (state_.running - episode.acted < verification(episode) / 2) return;
    episode.verifying = false;
    episode.present = false;
    episode.cleared = state_.running;
    out.push_back({Outcome::helped, episode.condition, episode.subject, action, "the fault is gone"});
    return;
  }
  if (state_.running - episode.acted >= verification(episode)) fail_step(episode, out);
}

milliseconds Decider::verification(const Episode& episode) const {
  return bounds_.verification(ladder_of(episode)->steps[episode.step].kind);
}

void Decider::fail_step(Episode& episode, std::vector<Decision>& out) const {
  const Action& action = ladder_of(episode)->steps[episode.step];
  episode.verifying = false;
  ++episode.step;
  out.push_back({Outcome::failed, episode.condition, episode.subject, action, "the fault is still there"});
}

// Of this kind and target nothing is left of the budget of its ladder: the next step is looked at.
bool Decider::spent(const Action& action) const {
  // A node waits for its reboot until a day is over.
  if (action.kind == ActionKind::reboot) return bounds_.reboots == 0;
  return static_cast<std::size_t>(std::ranges::count(state_.ledger, action, &LedgerEntry::action)) >=
         bounds_.budget(action.kind);
}

std::pair<std::string, milliseconds> Decider::over_budget(const Action& action) const {
  if (state_.ledger.size() >= bounds_.actions)
    return {fmt::format("the node's budget of {} actions a day is used up", bounds_.actions), milliseconds{0}};
  if (action.kind != ActionKind::reboot) return {};
  const auto reboots = std::ranges::count_if(
      state_.ledger, [](const LedgerEntry& each) { return each.action.kind == ActionKind::reboot; });
  if (reboots >= 1) return {"the node was restarted within a day", milliseconds{0}};
  return {};
}

// Whether the action keeps coming back after others: A, B, A, C, A is two remedies that undo each other.
bool Decider::fights(const Action& action) const {
  unsigned returns = 0;
  bool seen = false, other = false;
  for (const LedgerEntry& each : state_.ledger) {
    if (state_.running - each.time >= kFightTime) continue;
    if (each.action != action) {
      other = other || seen;
      continue;
    }
    if (other) ++returns;
    seen = true;
    other = false;
  }
  return returns + (other ? 1U : 0U) > kReturns;
}

std::pair<std::string, milliseconds> Decider::obstacle(const Episode& episode, const Action& action,
                                                       const World& world) const {
  if (world.locked) return {"the lock file exists", milliseconds{0}};
  if (paused(world.wall)) return {"remediation is paused", milliseconds{0}};
  // A clock that runs ahead makes every file old.
  if (action.kind == ActionKind::clean && !world.time_known) return {std::string(kAgeUnknown), milliseconds{0}};
  if (auto over = over_budget(action); !over.first.empty()) return over;
  if (fights(action)) return {"it alternates with other remedies, which may undo each other", milliseconds{0}};
  if (action.kind == ActionKind::reboot && !bounds_.windows.empty() &&
      std::ranges::none_of(bounds_.windows, [&world](const Window& window) { return window.contains(world.wall); }))
    return {"it is no maintenance window now", milliseconds{0}};
  milliseconds wait = bounds_.hold - (state_.running - episode.since);
  if (!state_.ledger.empty()) wait = std::max(wait, bounds_.cooldown - (state_.running - state_.ledger.back().time));
  std::uint32_t earlier = 0;
  milliseconds last{0};
  for (const LedgerEntry& each : state_.ledger) {
    if (each.condition != episode.condition || each.subject != episode.subject) continue;
    ++earlier;
    last = each.time;
  }
  if (earlier > 0) {
    const milliseconds pause =
        std::min(bounds_.backoff_cap, bounds_.backoff * (std::int64_t{1} << std::min(earlier - 1, 20U)));
    wait = std::max(wait, pause - (state_.running - last));
  }
  if (wait > milliseconds{0}) return {"it waits", wait};
  // What is only said takes no slot of the fleet.
  if (action.kind != ActionKind::reboot || bounds_.dry_run) return {};
  if (world.allowance == Allowance::unknown) return {std::string(kAsking), kSoon};
  if (world.allowance == Allowance::refused)
    return {"the registry lets no more nodes of the fleet restart now", milliseconds{0}};
  return {};
}

bool Decider::wants_allowance(const World& world) const {
  if (!bounds_.enabled || std::ranges::any_of(state_.episodes, &Episode::verifying)) return false;
  return std::ranges::any_of(state_.episodes, [this, &world](const Episode& episode) {
    const Ladder* ladder = ladder_of(episode);
    if (ladder == nullptr || !episode.present || episode.step >= ladder->steps.size()) return false;
    return obstacle(episode, ladder->steps[episode.step], world).first == kAsking;
  });
}

milliseconds Decider::due(const World& world) const {
  milliseconds out = kSoon;
  if (std::ranges::any_of(state_.episodes, &Episode::verifying)) return out;
  for (const Episode& episode : state_.episodes) {
    if (!episode.present) continue;
    if (const Next later = next(episode, world); later.in > milliseconds{0}) out = std::min(out, later.in);
  }
  return out;
}

Decider::Next Decider::next(const Episode& episode, const World& world) const {
  const Ladder* ladder = ladder_of(episode);
  if (ladder == nullptr || !bounds_.enabled) return {std::nullopt, milliseconds{0}, "remediation is off"};
  std::size_t step = episode.step;
  if (episode.verifying) return {ladder->steps[step], milliseconds{0}, "it was done and is being verified"};
  while (step < ladder->steps.size() && spent(ladder->steps[step]))
    ++step;
  if (step >= ladder->steps.size()) return {std::nullopt, milliseconds{0}, "nothing that may be done is left"};
  auto [reason, wait] = obstacle(episode, ladder->steps[step], world);
  if (reason.empty() && bounds_.dry_run) reason = "dry_run is set";
  return {ladder->steps[step], wait, std::move(reason)};
}

void Decider::act(Episode& episode, const Action& action, const World& world, std::vector<Decision>& out) {
  state_.ledger.push_back({state_.running, action, episode.condition, episode.subject});
  episode.verifying = true;
  episode.acted = state_.running;
  episode.acted_boot = world.boot_id;
  episode.acted_round = world.round;
  ++episode.tried;
  out.push_back({Outcome::act, episode.condition, episode.subject, action,
                 fmt::format("step {} of {}", episode.step + 1, ladder_of(episode)->steps.size())});
}

}  // namespace omnitide::health
