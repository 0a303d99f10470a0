// When a sick node is to take no new work, and when it is to take it again.
#include "health/remediation/quarantine.hpp"

#include "tests/harness/catch.hpp"

namespace omnitide::health {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

QuarantineBounds bounds() {
  QuarantineBounds out;
  out.conditions = {"KernelDeadlock", "ReadonlyFilesystem"};
  return out;
}
QuarantineWorld sick(milliseconds running, std::string condition = "KernelDeadlock") {
  return {.running = running, .present = {"Other", std::move(condition)}};
}
QuarantineWorld well(milliseconds running) { return {.running = running, .present = {"Other"}}; }

// The only outcome, if there is one.
std::optional<Outcome> outcome(Quarantine& quarantine, const QuarantineWorld& world) {
  const std::vector<Decision> all = quarantine.decide(world);
  REQUIRE(all.size() <= 1);
  if (all.empty()) return std::nullopt;
  return all.front().outcome;
}

}  // namespace

TEST_CASE("a sickness must last half a minute, and then the quarantine is wanted for it") {
  Quarantine quarantine(bounds());
  CHECK_FALSE(outcome(quarantine, sick(1h)));
  CHECK_FALSE(outcome(quarantine, sick(1h + 29s)));
  CHECK(quarantine.saved().condition.empty());
  CHECK(outcome(quarantine, sick(1h + 30s)) == Outcome::act);
  CHECK(quarantine.saved().condition == "KernelDeadlock");
  CHECK_FALSE(outcome(quarantine, sick(2h)));
}

TEST_CASE("one that goes away in between begins anew, and other conditions are none") {
  Quarantine quarantine(bounds());
  (void)quarantine.decide(sick(0s));
  (void)quarantine.decide(well(20s));
  (void)quarantine.decide(sick(25s));
  CHECK_FALSE(outcome(quarantine, sick(50s)));
  Quarantine other(bounds());
  (void)other.decide(well(0s));
  CHECK_FALSE(outcome(other, well(1h)));
}

TEST_CASE("it ends when the node was well for five minutes, whatever it was sick of meanwhile") {
  Quarantine quarantine(bounds());
  (void)quarantine.decide(sick(0s));
  (void)quarantine.decide(sick(30s));
  quarantine.cordoned(true);
  CHECK_FALSE(outcome(quarantine, well(1min)));
  CHECK_FALSE(outcome(quarantine, sick(5min, "ReadonlyFilesystem")));
  CHECK_FALSE(outcome(quarantine, well(6min)));
  CHECK_FALSE(outcome(quarantine, well(11min - 1s)));
  CHECK(outcome(quarantine, well(11min)) == Outcome::helped);
  CHECK(quarantine.saved().condition.empty());
  CHECK_FALSE(quarantine.saved().done);
}

TEST_CASE("three a day and no more, which is told once; after the day there is one again") {
  Quarantine quarantine(bounds());
  milliseconds now{0};
  for (int i = 0; i < 3; ++i) {
    (void)quarantine.decide(sick(now));
    CHECK(outcome(quarantine, sick(now += 30s)) == Outcome::act);
    (void)quarantine.decide(well(now += 1min));
    CHECK(outcome(quarantine, well(now += 5min)) == Outcome::helped);
  }
  (void)quarantine.decide(sick(now));
  CHECK(outcome(quarantine, sick(now += 30s)) == Outcome::exhausted);
  CHECK_FALSE(outcome(quarantine, sick(now += 30s)));
  CHECK(outcome(quarantine, sick(24h + 31s)) == Outcome::act);
}

TEST_CASE("the day's budget outlives a restart, and so does what is wanted") {
  QuarantineState saved;
  saved.ledger = {1h, 2h, 3h};
  Quarantine quarantine(bounds(), saved);
  (void)quarantine.decide(sick(4h));
  CHECK(outcome(quarantine, sick(5h)) == Outcome::exhausted);
  saved.condition = "KernelDeadlock";
  Quarantine going_on(bounds(), saved);
  CHECK_FALSE(outcome(going_on, sick(4h)));
  CHECK(going_on.saved().condition == "KernelDeadlock");
}

TEST_CASE("while remediation is paused nothing begins and nothing ends") {
  Quarantine quarantine(bounds());
  QuarantineWorld paused = sick(0s);
  paused.blocked = true;
  (void)quarantine.decide(paused);
  paused.running = 1min;
  CHECK(outcome(quarantine, paused) == Outcome::held);
  CHECK_FALSE(outcome(quarantine, paused));
  CHECK(outcome(quarantine, sick(2min)) == Outcome::act);
  paused = well(1h);
  paused.blocked = true;
  CHECK_FALSE(outcome(quarantine, paused));
  paused.running = 2h;
  CHECK_FALSE(outcome(quarantine, paused));
  CHECK(quarantine.saved().condition == "KernelDeadlock");
}

TEST_CASE("a dry run only says so") {
  QuarantineBounds dry = bounds();
  dry.dry_run = true;
  Quarantine quarantine(dry);
  (void)quarantine.decide(sick(0s));
  CHECK(outcome(quarantine, sick(1min)) == Outcome::would_act);
  CHECK(quarantine.saved().condition.empty());
  CHECK(quarantine.saved().ledger.empty());
}

TEST_CASE("what is not asked for any more ends at once") {
  QuarantineState saved;
  saved.condition = "KernelDeadlock";
  saved.done = true;
  Quarantine quarantine(QuarantineBounds{}, saved);
  CHECK(outcome(quarantine, sick(0s)) == Outcome::held);
  CHECK(quarantine.saved().condition.empty());
}

}  // namespace omnitide::health
