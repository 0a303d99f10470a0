// Parts of the agent as conditions.
#include "agent/daemon/part_conditions.hpp"

#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

using model::Condition;
using model::ConditionStatus;
using model::PartState;
using model::PartStatus;

constexpr WallTime kFirst{std::chrono::seconds(100)}, kLater{std::chrono::seconds(200)};

PartStatus part(std::string name, PartState state, std::string reason = {}) {
  return {.name = std::move(name), .state = state, .reason = std::move(reason), .urls = {}};
}

}  // namespace

TEST_CASE("each part that is not off is a condition, and so is the whole") {
  const std::vector<Condition> found = part_conditions(
      {part("local API", PartState::on), part("ebpf-metrics", PartState::degraded, "no BTF"),
       part("registry", PartState::off), part("policy", PartState::starting), part("telemetry", PartState::failed)},
      "network policy is being loaded", {}, kFirst);
  REQUIRE(found.size() == 4);
  CHECK(found[0] ==
        Condition{"Ready", ConditionStatus::false_, "AgentNotReady", "network policy is being loaded", kFirst});
  CHECK(found[1] == Condition{"LocalAPIReady", ConditionStatus::true_, "Running", "", kFirst});
  CHECK(found[2] == Condition{"EbpfMetricsReady", ConditionStatus::false_, "Degraded", "no BTF", kFirst});
  CHECK(found[3] == Condition{"PolicyReady", ConditionStatus::unknown, "Starting", "", kFirst});
}

TEST_CASE("a condition keeps its time while its status stays") {
  const auto first = part_conditions({part("http", PartState::on)}, "", {}, kFirst);
  const auto worded = part_conditions({part("http", PartState::on, "other words")}, "", first, kLater);
  CHECK(worded[1].since == kFirst);
  CHECK(same_conditions(first, worded));
  const auto failed = part_conditions({part("http", PartState::failed)}, "http failed", worded, kLater);
  CHECK(failed[1].since == kLater);
  CHECK(failed[0].since == kLater);
  CHECK_FALSE(same_conditions(worded, failed));
  CHECK_FALSE(same_conditions(failed, part_conditions({}, "http failed", failed, kLater)));
}

}  // namespace omnitide::daemon
