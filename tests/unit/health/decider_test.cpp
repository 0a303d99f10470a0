// What is done about faults: step by step, verified, and never more than is allowed.
#include "health/remediation/decider.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::Action;
using health::ActionKind;
using health::Bounds;
using health::Decider;
using health::Decision;
using health::Ladder;
using health::Outcome;
using health::World;
using std::chrono::milliseconds;

namespace {

const Action kRestart{ActionKind::restart_unit, "a.service"}, kReboot{ActionKind::reboot, ""};

// One unit on a node, looked at every ten seconds.
struct Node {
  Decider decider;
  World world;

  explicit Node(Bounds bounds = {}, std::vector<Action> steps = {kRestart})
      : decider({Ladder{"SystemdUnitFailed", "a.service", std::move(steps)}}, std::move(bounds)) {
    world.boot_id = "one";
    world.boot_time = 100s;
    world.wall = WallTime{std::chrono::days(20'000)};
  }
  // The decisions of so long a time.
  std::vector<Decision> run(milliseconds time, bool present) {
    std::vector<Decision> out;
    for (milliseconds passed{0}; passed < time; passed += 10s) {
      world.boot_time += 10s;
      world.wall += 10s;
      ++world.round;
      world.faults = {{"SystemdUnitFailed", "a.service", present}};
      for (Decision& decision : decider.decide(world))
        out.push_back(std::move(decision));
    }
    return out;
  }
  // The agent starts anew, on the same boot or another.
  void restart(const std::string& boot) {
    decider = Decider(decider.ladders(), decider.bounds(), decider.saved());
    if (boot != world.boot_id) world.boot_time = 0ms;
    world.boot_id = boot;
    world.round = 0;
  }
};

std::vector<Outcome> outcomes(const std::vector<Decision>& decisions) {
  std::vector<Outcome> out;
  for (const Decision& decision : decisions)
    out.push_back(decision.outcome);
  return out;
}
using Outcomes = std::vector<Outcome>;

}  // namespace

TEST_CASE("a fault that lasts is mended once, and that it is gone is verified") {
  Node node;
  REQUIRE(node.run(30s, true).empty());  // it may mend itself
  REQUIRE(outcomes(node.run(10s, true)) == Outcomes{Outcome::act});
  REQUIRE(node.run(20s, false).empty());  // too early to say
  const auto helped = node.run(20s, false);
  REQUIRE(outcomes(helped) == Outcomes{Outcome::helped});
  REQUIRE(helped[0].action == kRestart);
  REQUIRE(node.run(1h, false).empty());
}

TEST_CASE("a step that does not help is not repeated; when none is left, people are told once") {
  Node node;
  REQUIRE(outcomes(node.run(24h - 1h, true)) == Outcomes{Outcome::act, Outcome::failed, Outcome::exhausted});
  // A short recovery is no new fault.
  REQUIRE(node.run(5min, false).empty());
  REQUIRE(node.run(20min, true).empty());
  // A long one is.
  REQUIRE(node.run(2h, false).empty());
  REQUIRE(outcomes(node.run(10min, true)) == Outcomes{Outcome::act, Outcome::failed, Outcome::exhausted});
  // So is the operator's word.
  node.decider.resume();
  REQUIRE(outcomes(node.run(10min, true)) == Outcomes{Outcome::act, Outcome::failed, Outcome::exhausted});
}

TEST_CASE("a unit that recovers and fails again uses up its budget, with longer and longer pauses, and escalates") {
  Bounds bounds;
  bounds.reboots = 1;
  Node node(bounds, {kRestart, kReboot});
  std::vector<milliseconds> acted;
  std::vector<Action> actions;
  bool present = true;
  for (int i = 0; i < 6 * 60 * 20 && node.decider.saved().ledger.size() < 6; ++i) {
    for (const Decision& decision : node.run(10s, present)) {
      if (decision.outcome == Outcome::act) {
        acted.push_back(node.world.boot_time);
        actions.push_back(decision.action);
        present = false;
      } else if (decision.outcome == Outcome::helped) {
        present = true;  // for a minute, say
      }
    }
  }
  REQUIRE(actions == std::vector<Action>{kRestart, kRestart, kRestart, kRestart, kRestart, kReboot});
  for (std::size_t i = 2; i + 1 < acted.size(); ++i)
    REQUIRE(acted[i] - acted[i - 1] >= (acted[i - 1] - acted[i - 2]));
}

TEST_CASE("a reboot is verified on the next boot, and not made twice in a day of running") {
  Bounds bounds;
  bounds.reboots = 1;
  Node node(bounds, {kReboot});
  REQUIRE(outcomes(node.run(1min, true)) == Outcomes{Outcome::act});
  node.restart("two");
  node.world.wall += std::chrono::days(400);  // a clock without a battery
  const auto after = node.run(23h, true);
  REQUIRE(outcomes(after) == Outcomes{Outcome::failed, Outcome::exhausted});
  node.decider.resume();
  REQUIRE(outcomes(node.run(30min, true)) == Outcomes{Outcome::held});
  REQUIRE(node.run(1h, true).front().outcome == Outcome::act);  // a day has passed
}

TEST_CASE("nothing is done while paused, locked, outside of the windows, or in a dry run") {
  Bounds bounds;
  bounds.reboots = 1;
  bounds.windows = {{-1, 2h, 3h}};
  Node node(bounds, {kReboot});
  node.decider.pause(node.world.wall + 1h);
  auto told = node.run(1h - 10s, true);
  REQUIRE(outcomes(told) == Outcomes{Outcome::held});  // told once
  REQUIRE(told[0].reason == "remediation is paused");
  node.world.locked = true;
  told = node.run(30min, true);
  REQUIRE(told[0].reason == "the lock file exists");
  node.world.locked = false;
  told = node.run(29min, true);
  REQUIRE(told[0].reason == "it is no maintenance window now");
  REQUIRE(outcomes(node.run(2min, true)) == Outcomes{Outcome::act});

  bounds = {};
  bounds.dry_run = true;
  Node dry(bounds);
  REQUIRE(outcomes(dry.run(10h, true)) == Outcomes{Outcome::would_act});
  REQUIRE(dry.decider.saved().ledger.empty());
  bounds.enabled = false;
  REQUIRE(Node(bounds).run(10h, true).empty());
}

TEST_CASE("a pause and what was used up survive the agent") {
  Node node;
  REQUIRE(outcomes(node.run(1min, true)) == Outcomes{Outcome::act});
  node.decider.pause({});
  node.restart("one");
  REQUIRE(node.decider.paused(node.world.wall));
  REQUIRE(node.decider.saved().ledger.size() == 1);
  REQUIRE(outcomes(node.run(5min, true)) == Outcomes{Outcome::failed, Outcome::exhausted});
}

TEST_CASE("a check that falls silent during the verification does not stop everything for good") {
  Node node;
  REQUIRE(outcomes(node.run(1min, true)) == Outcomes{Outcome::act});
  std::vector<Outcome> said;
  for (int i = 0; i < 100; ++i) {
    node.world.boot_time += 10s;
    node.world.faults.clear();
    for (const Decision& decision : node.decider.decide(node.world))
      said.push_back(decision.outcome);
  }
  REQUIRE(said == Outcomes{Outcome::failed, Outcome::exhausted});
}

TEST_CASE("what is next is said with its reason") {
  Node node;
  (void)node.run(10s, true);
  const health::Episode* episode = node.decider.episode("SystemdUnitFailed", "a.service");
  REQUIRE(episode != nullptr);
  Decider::Next next = node.decider.next(*episode, node.world);
  REQUIRE(next.action == kRestart);
  REQUIRE(next.in == 30s);
  node.world.locked = true;
  REQUIRE(node.decider.next(*episode, node.world).because == "the lock file exists");
  node.world.locked = false;
  (void)node.run(10min, true);
  next = node.decider.next(*node.decider.episode("SystemdUnitFailed", "a.service"), node.world);
  REQUIRE_FALSE(next.action);
}

TEST_CASE("a decision is due when what it waits for is over") {
  Bounds bounds;
  bounds.hold = 200ms;
  Node node(bounds);
  const auto look = [&node](milliseconds passed) {
    node.world.boot_time += passed;
    ++node.world.round;
    node.world.faults = {{"SystemdUnitFailed", "a.service", true}};
    return outcomes(node.decider.decide(node.world));
  };
  REQUIRE(look(10s).empty());
  REQUIRE(node.decider.due(node.world) == 200ms);
  REQUIRE(look(150ms).empty());
  REQUIRE(node.decider.due(node.world) == 50ms);
  REQUIRE(look(50ms) == Outcomes{Outcome::act});
  REQUIRE(node.decider.due(node.world) == 1s);  // it is being verified
}

TEST_CASE("nothing is cleaned by age while nobody knows the time, and other steps go on") {
  const Action vacuum{ActionKind::vacuum_journal, ""}, clean{ActionKind::clean, ""};
  Node node({}, {vacuum, clean});
  node.world.time_known = false;
  REQUIRE(outcomes(node.run(1min, true)) == Outcomes{Outcome::act});
  const auto held = node.run(20min, true);
  REQUIRE(outcomes(held) == Outcomes{Outcome::failed, Outcome::held});
  REQUIRE(held[1].action == clean);
  REQUIRE(held[1].reason == "no time service keeps the clock in step, so nobody knows how old a file is");
  REQUIRE(node.decider.saved().ledger.size() == 1);  // what is not done costs nothing
  node.world.time_known = true;
  REQUIRE(node.run(10s, true).front().action == clean);
}

TEST_CASE("what only a round of checks can judge has the time for it, and a budget of its own") {
  const Action vacuum{ActionKind::vacuum_journal, ""}, clean{ActionKind::clean, ""};
  Bounds bounds;
  bounds.repeats = 2;
  Node node(bounds, {vacuum, clean});
  auto told = node.run(5min + 30s, true);
  REQUIRE(outcomes(told) == Outcomes{Outcome::act});
  REQUIRE(told[0].action == vacuum);
  told = node.run(20min, true);
  REQUIRE(outcomes(told) == Outcomes{Outcome::failed, Outcome::act, Outcome::failed, Outcome::exhausted});
  REQUIRE(told[1].action == clean);
  node.decider.resume();
  REQUIRE(outcomes(node.run(30min, true)) ==
          Outcomes{Outcome::act, Outcome::failed, Outcome::act, Outcome::failed, Outcome::exhausted});
  node.decider.resume();
  REQUIRE(outcomes(node.run(1h, true)) == Outcomes{Outcome::exhausted});  // twice a day each
}

TEST_CASE("a restart waits for the registry's word, and only for that of a registry that answers") {
  Bounds bounds;
  bounds.reboots = 1;
  Node node(bounds, {kRestart, kReboot});
  node.world.allowance = health::Allowance::unknown;
  REQUIRE(outcomes(node.run(35s, true)) == Outcomes{Outcome::act});  // of the unit: nobody is asked
  REQUIRE_FALSE(node.decider.wants_allowance(node.world));
  REQUIRE(outcomes(node.run(10min, true)) == Outcomes{Outcome::failed});
  REQUIRE(node.decider.wants_allowance(node.world));
  node.world.locked = true;
  REQUIRE_FALSE(node.decider.wants_allowance(node.world));
  node.world.locked = false;
  node.world.allowance = health::Allowance::refused;
  const auto held = node.run(10min, true);
  REQUIRE(outcomes(held) == Outcomes{Outcome::held});
  REQUIRE(held[0].reason == "the registry lets no more nodes of the fleet restart now");
  node.world.allowance = health::Allowance::unknown;
  REQUIRE(node.run(1min, true).empty());
  node.world.allowance = health::Allowance::granted;
  REQUIRE(node.run(10s, true).front().action == kReboot);

  Node alone(bounds, {kReboot});
  REQUIRE(outcomes(alone.run(1min, true)) == Outcomes{Outcome::act});
  bounds.dry_run = true;
  Node dry(bounds, {kReboot});
  dry.world.allowance = health::Allowance::unknown;
  REQUIRE(outcomes(dry.run(1min, true)) == Outcomes{Outcome::would_act});
  REQUIRE_FALSE(dry.decider.wants_allowance(dry.world));
}

TEST_CASE("kinds of actions are known by their names") {
  for (std::size_t i = 0; i < health::kActionKinds; ++i)
    REQUIRE(health::action_kind(name(static_cast<ActionKind>(i))) == static_cast<ActionKind>(i));
  REQUIRE_FALSE(health::action_kind("explode"));
  REQUIRE(health::text({ActionKind::reset_link, "eth1"}) == "reset-link eth1");
}

TEST_CASE("windows are of a day, of each day, and over midnight") {
  const WallTime sunday{std::chrono::sys_days(std::chrono::year(2024) / 1 / 7)};
  const health::Window night{0, 23h, 60min};
  REQUIRE(night.contains(sunday + 23h));
  REQUIRE(night.contains(sunday + 24h + 59min));
  REQUIRE_FALSE(night.contains(sunday + 24h + 60min));
  REQUIRE_FALSE(night.contains(sunday + 30min));  // that is of the window of Saturday
  REQUIRE_FALSE(night.contains(sunday + 47h));
  REQUIRE((health::Window{-1, 2h, 3h}.contains(sunday + 26h)));
  REQUIRE_FALSE((health::Window{-1, 2h, 3h}.contains(sunday + 27h)));
}
