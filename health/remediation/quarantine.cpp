#include "health/remediation/quarantine.hpp"

#include <algorithm>
#include <utility>

namespace omnitide::health {

using std::chrono::milliseconds;

Quarantine::Quarantine(QuarantineBounds bounds, QuarantineState saved)
    : bounds_(std::move(bounds)), state_(std::move(saved)) {}

std::string Quarantine::sickness(const QuarantineWorld& world) const {
  for (const std::string& condition : bounds_.conditions)
    if (std::ranges::find(world.present, condition) != world.present.end()) return condition;
  return {};
}

// What stays as it is is told once.
std::optional<Decision> Quarantine::tell(Outcome outcome, const std::string& condition, std::string reason) {
  if (std::exchange(told_, reason) == reason) return std::nullopt;
  return Decision{outcome, condition, "", {}, std::move(reason)};
}

std::vector<Decision> Quarantine::decide(const QuarantineWorld& world) {
  while (!state_.ledger.empty() && world.running - state_.ledger.front() >= kBudgetDay)
    state_.ledger.pop_front();
  const std::string condition = bounds_.enabled ? sickness(world) : std::string();
  std::optional<Decision> news;
  if (!state_.condition.empty())
    news = condition.empty() ? end(world) : std::nullopt;
  else if (!condition.empty())
    news = begin(condition, world);
  else
    told_.clear();
  if (condition.empty() == state_.condition.empty()) since_.reset();
  if (!news) return {};
  return {std::move(*news)};
}

std::optional<Decision> Quarantine::begin(const std::string& condition, const QuarantineWorld& world) {
  if (!since_) since_ = world.running;
  if (world.running - *since_ < bounds_.hold) return std::nullopt;
  if (world.blocked) return tell(Outcome::held, condition, "remediation is paused or the lock file exists");
  if (state_.ledger.size() >= bounds_.repeats)
    return tell(Outcome::exhausted, condition, "it was done as often as it may be in a day");
  if (bounds_.dry_run) return tell(Outcome::would_act, condition, "dry_run is set");
  state_.condition = condition;
  state_.done = false;
  state_.ledger.push_back(world.running);
  told_.clear();
  return Decision{Outcome::act, condition, "", {}, "the node is to take no new work"};
}

// What is not asked for any more is undone at once; what is mended, when it has stayed so.
std::optional<Decision> Quarantine::end(const QuarantineWorld& world) {
  const bool asked = bounds_.enabled && !bounds_.conditions.empty();
  if (!since_) since_ = world.running;
  if (world.blocked || (asked && world.running - *since_ < bounds_.mended)) return std::nullopt;
  const std::string condition = std::exchange(state_.condition, {});
  state_.done = false;
  return Decision{asked ? Outcome::helped : Outcome::held,
                  condition,
                  "",
                  {},
                  asked ? "the node is well again and takes new work" : "it is not asked for any more"};
}

}  // namespace omnitide::health
