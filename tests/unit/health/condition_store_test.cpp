// A condition changes when its checks agree for long enough, keeps its `since`, and comes back after a restart.
#include "health/checks/condition_store.hpp"

#include "health/checks/event_limiter.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
using health::ConditionStore;
using health::Finding;
using health::Verdict;
using model::ConditionStatus;

namespace {

Finding said(Verdict verdict, const std::string& reason, const std::string& check = "disk-space") {
  return {"DiskPressure", check, verdict, reason, "a sentence", {{"mountpoint", "/var"}}};
}
WallTime at(int seconds) { return WallTime{std::chrono::seconds(1'700'000'000 + seconds)}; }

}  // namespace

TEST_CASE("a verdict settles after as many rounds in a row as it takes, both ways") {
  ConditionStore store;
  REQUIRE(store.apply(said(Verdict::unknown, "NotMeasured"), {3, 2}, at(0)) == std::nullopt);
  REQUIRE(store.conditions().front().status == ConditionStatus::unknown);
  // Where nothing else was believed before, that all is well is believed at once.
  REQUIRE(store.apply(said(Verdict::good, "Fine"), {3, 2}, at(1))->finding.reason == "Fine");
  REQUIRE(store.conditions().front().status == ConditionStatus::false_);

  for (int i = 0; i < 20; ++i)  // two bad rounds are never three
    REQUIRE_FALSE(store.apply(said(i % 3 == 2 ? Verdict::good : Verdict::bad, "Low"), {3, 2}, at(10 + i)));
  REQUIRE(store.conditions().front().status == ConditionStatus::false_);

  REQUIRE_FALSE(store.apply(said(Verdict::good, "Fine"), {3, 2}, at(39)));
  REQUIRE_FALSE(store.apply(said(Verdict::bad, "Low"), {3, 2}, at(40)));
  REQUIRE_FALSE(store.apply(said(Verdict::bad, "Low"), {3, 2}, at(41)));
  const auto change = store.apply(said(Verdict::bad, "Low"), {3, 2}, at(42));
  REQUIRE(change);
  REQUIRE(change->before == Verdict::good);
  REQUIRE(change->since == at(1));
  const model::Condition condition = store.conditions().front();
  REQUIRE(condition.status == ConditionStatus::true_);
  REQUIRE(condition.reason == "Low");
  REQUIRE(condition.since == at(42));

  REQUIRE_FALSE(store.apply(said(Verdict::good, "Fine"), {3, 2}, at(50)));
  REQUIRE(store.apply(said(Verdict::good, "Fine"), {3, 2}, at(51)));
  REQUIRE(store.conditions().front().status == ConditionStatus::false_);
  REQUIRE(store.conditions().front().since == at(51));
}

TEST_CASE("a check that may lose sight of its condition says so after as many rounds in a row as it takes") {
  ConditionStore store;
  REQUIRE(store.apply(said(Verdict::bad, "Low"), {1, 1, 3}, at(0)));
  REQUIRE_FALSE(store.apply(said(Verdict::unknown, "NotRun"), {1, 1, 3}, at(1)));
  REQUIRE_FALSE(store.apply(said(Verdict::unknown, "NotRun"), {1, 1, 3}, at(2)));
  REQUIRE_FALSE(store.apply(said(Verdict::bad, "Low"), {1, 1, 3}, at(3)));
  for (int i = 4; i < 6; ++i)
    REQUIRE_FALSE(store.apply(said(Verdict::unknown, "NotRun"), {1, 1, 3}, at(i)));
  REQUIRE(store.conditions().front().status == ConditionStatus::true_);
  const auto change = store.apply(said(Verdict::unknown, "NotRun"), {1, 1, 3}, at(6));
  REQUIRE(change);
  REQUIRE(change->before == Verdict::bad);
  REQUIRE(store.conditions().front().status == ConditionStatus::unknown);
  REQUIRE(store.conditions().front().reason == "NotRun");
}

TEST_CASE("what was not measured changes nothing that was believed") {
  ConditionStore store;
  REQUIRE(store.apply(said(Verdict::bad, "Low"), {1, 1}, at(0)));
  for (int i = 1; i < 10; ++i)
    REQUIRE_FALSE(store.apply(said(Verdict::unknown, "NotMeasured"), {1, 1}, at(i)));
  REQUIRE(store.conditions().front().status == ConditionStatus::true_);
  REQUIRE(store.conditions().front().reason == "Low");
  REQUIRE(store.conditions().front().since == at(0));
}

TEST_CASE("another reason of a fault is news, the same one is not") {
  ConditionStore store;
  REQUIRE(store.apply(said(Verdict::bad, "Low"), {1, 1}, at(0)));
  REQUIRE_FALSE(store.apply(said(Verdict::bad, "Low"), {1, 1}, at(1)));
  REQUIRE(store.apply(said(Verdict::bad, "WillBeFull"), {1, 1}, at(2))->before == Verdict::bad);
  REQUIRE(store.conditions().front().since == at(0));
}

TEST_CASE("a condition of several checks is true while one of them says so, with the oldest reason") {
  ConditionStore store;
  REQUIRE(store.apply(said(Verdict::good, "Fine", "a"), {1, 1}, at(0)));
  REQUIRE(store.apply(said(Verdict::bad, "Later", "b"), {1, 1}, at(2)));
  REQUIRE(store.apply(said(Verdict::bad, "First", "c"), {1, 1}, at(3)));
  REQUIRE(store.conditions().size() == 1);
  REQUIRE(store.conditions().front().reason == "Later");
  REQUIRE(store.apply(said(Verdict::good, "Fine", "b"), {1, 1}, at(4)));
  REQUIRE(store.conditions().front().reason == "First");
  REQUIRE(store.apply(said(Verdict::good, "Fine", "c"), {1, 1}, at(5)));
  REQUIRE(store.conditions().front().status == ConditionStatus::false_);
  REQUIRE(store.conditions().front().since == at(5));
}

TEST_CASE("what was saved comes back with its since, and clears as if there had been no restart") {
  ConditionStore before;
  REQUIRE(before.apply(said(Verdict::bad, "Low"), {2, 2}, at(0)) == std::nullopt);
  REQUIRE(before.apply(said(Verdict::bad, "Low"), {2, 2}, at(1)));
  ConditionStore after;
  after.restore(before.entries());
  REQUIRE(after.conditions() == before.conditions());
  REQUIRE(after.find("DiskPressure", "disk-space")->settled.evidence.front().second == "/var");
  REQUIRE_FALSE(after.apply(said(Verdict::bad, "Low"), {2, 2}, at(100)));
  REQUIRE(after.conditions().front().since == at(1));
  REQUIRE_FALSE(after.apply(said(Verdict::good, "Fine"), {2, 2}, at(101)));
  REQUIRE(after.apply(said(Verdict::good, "Fine"), {2, 2}, at(102)));
  after.forget("DiskPressure", "disk-space");
  REQUIRE(after.entries().empty());
}

TEST_CASE("the store is bounded") {
  ConditionStore store;
  for (int i = 0; i < 1000; ++i)
    (void)store.apply(said(Verdict::bad, "Low", std::to_string(i)), {1, 1}, at(i));
  REQUIRE(store.entries().size() == ConditionStore::kMostEntries);
}

TEST_CASE("events that repeat are told once in their period, with how many there were") {
  health::EventLimiter limiter(5min, 3);
  const SteadyTime start = SteadyTime{} + 1h;
  REQUIRE(limiter.pass("OOMKilling", start) == 0U);
  for (int i = 0; i < 7; ++i)
    REQUIRE_FALSE(limiter.pass("OOMKilling", start + 1s));
  REQUIRE(limiter.pass("OOMKilling", start + 5min) == 7U);
  REQUIRE(limiter.pass("OOMKilling", start + 10min) == 0U);
  // All kinds together are bounded too, and so is what is kept of them.
  unsigned passed = 0;
  for (int i = 0; i < 1000; ++i)
    passed += limiter.pass("kind " + std::to_string(i), start + 20min) ? 1U : 0U;
  REQUIRE(passed == 3);
  REQUIRE(limiter.held() == 7 + 997);
  REQUIRE(limiter.pass("another", start + 30min));
}
