// Decides what is done about the node's faults: one step of one ladder at a time, verified before the next, within
// budgets that no crash, reboot or jump of a clock can widen. Pure: it is given the time and what the checks found, and
// returns what to do; the daemon saves saved() before it acts.
//
// Time is counted in running time of the node (CLOCK_BOOTTIME of each boot in which the agent ran, added up): it never
// runs ahead of real time whatever the clock of the day does, so a budget "a day" is never exceeded in a real day.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.hpp"
#include "health/remediation/ladder.hpp"

namespace omnitide::health {

inline constexpr std::chrono::milliseconds kBudgetDay = std::chrono::hours(24);

inline constexpr std::string_view kAgeUnknown =
    "no time service keeps the clock in step, so nobody knows how old a file is";

// A fault as the checks of this round see it.
struct Fault {
  std::string condition, subject;
  bool present = false;
};

// What the registry says of a restart of the node, so that not all of a fleet restart at once.
enum class Allowance : std::uint8_t {
  unreachable,  // there is none, or it does not answer: the node decides for itself
  unknown,      // it has to be asked: see Decider::wants_allowance()
  granted,
  refused,
};

// The node at one moment.
struct World {
  std::chrono::milliseconds boot_time{0};  // CLOCK_BOOTTIME
  WallTime wall{};                         // for windows and pauses only
  std::string boot_id;
  bool locked = false;        // the lock file exists
  bool time_known = true;     // a time service keeps the clock in step
  std::uint64_t round = 0;    // of checks that `faults` come from; rises
  std::vector<Fault> faults;  // of every ladder's condition and subject that was checked
  Allowance allowance = Allowance::unreachable;
};

enum class Outcome : std::uint8_t {
  act,        // do it now; it is in the ledger already
  would_act,  // dry run: what would be done
  helped,     // the fault is gone after the step
  failed,     // the step did not help, and is not repeated
  held,       // something forbids the step for now
  exhausted,  // no step is left; people must look
};
[[nodiscard]] std::string_view name(Outcome outcome);

struct Decision {
  Outcome outcome = Outcome::held;
  std::string condition, subject;
  Action action;
  std::string reason;  // a sentence without a full stop
};

// One action that was begun.
struct LedgerEntry {
  std::chrono::milliseconds time{0};  // running time
  Action action;
  std::string condition, subject;
};

// What is tried for one subject.
struct Episode {
  std::string condition, subject;
  bool present = false;
  std::chrono::milliseconds since{0}, cleared{0};  // running time
  std::uint32_t step = 0;                          // the next one, or the one that is being verified
  std::uint32_t tried = 0;                         // actions in this episode
  bool verifying = false, told_exhausted = false;
  std::chrono::milliseconds acted{0};
  std::string acted_boot;
  std::uint64_t acted_round = 0;  // the round before which it acted; not saved: rounds begin anew with the agent
};

// What must survive. Written to disk before an action is begun.
struct DeciderState {
  std::chrono::milliseconds running{0};  // running time at the last decision
  std::chrono::milliseconds boot_time{0};
  std::string boot_id;
  std::deque<LedgerEntry> ledger;  // of the last day
  std::vector<Episode> episodes;
  bool paused = false;
  WallTime paused_until{};  // the epoch: until resumed
};

class Decider {
 public:
  Decider(std::vector<Ladder> ladders, Bounds bounds, DeciderState saved = {});

  [[nodiscard]] std::vector<Decision> decide(const World& world);

  // Until the time given, or until resume(). Survives restarts.
  void pause(WallTime until);
  // Also gives what was exhausted another chance, within the budgets.
  void resume();
  [[nodiscard]] bool paused(WallTime now) const;

  // Whether a restart of the node waits for the registry's word and for nothing else.
  [[nodiscard]] bool wants_allowance(const World& world) const;

  [[nodiscard]] const DeciderState& saved() const { return state_; }
  [[nodiscard]] const std::vector<Ladder>& ladders() const { return ladders_; }
  [[nodiscard]] const Bounds& bounds() const { return bounds_; }
  [[nodiscard]] const Episode* episode(std::string_view condition, std::string_view subject) const;

  struct Next {
    std::optional<Action> action;
    std::chrono::milliseconds in{0};  // at the earliest
    std::string because;              // why not now
  };
  // How long until decide() has more to do if nothing changes, at most a second.
  [[nodiscard]] std::chrono::milliseconds due(const World& world) const;
  // What would be done next about a fault that lasts.
  [[nodiscard]] Next next(const Episode& episode, const World& world) const;

 private:
  void advance(const World& world);
  void observe(Episode& episode, bool present, const World& world, std::vector<Decision>& out);
  [[nodiscard]] Episode& episode_of(const Ladder& ladder);
  [[nodiscard]] const Ladder* ladder_of(const Episode& episode) const;
  void verify(Episode& episode, const Ladder& ladder, const World& world, std::vector<Decision>& out);
  void fail_step(Episode& episode, std::vector<Decision>& out) const;
  [[nodiscard]] std::chrono::milliseconds verification(const Episode& episode) const;  // of its step
  // Empty: now. Else why not, and how long at least.
  [[nodiscard]] std::pair<std::string, std::chrono::milliseconds> obstacle(const Episode& episode, const Action& action,
                                                                           const World& world) const;
  [[nodiscard]] std::pair<std::string, std::chrono::milliseconds> over_budget(const Action& action) const;
  [[nodiscard]] bool fights(const Action& action) const;
  [[nodiscard]] bool spent(const Action& action) const;
  void act(Episode& episode, const Action& action, const World& world, std::vector<Decision>& out);

  std::vector<Ladder> ladders_;
  Bounds bounds_;
  DeciderState state_;
  std::map<std::string, std::string> told_;  // by condition and subject: the last obstacle or dry run that was told
};

}  // namespace omnitide::health
