// Conditions and events of health in Kubernetes' words.
#include "agent/daemon/node_status_text.hpp"

#include "omnitide/node/v1/health.pb.h"
#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

using kubernetes::EventNote;
using kubernetes::NodeCondition;
using model::Condition;
using model::ConditionStatus;

constexpr WallTime kSince{std::chrono::seconds(100)};

node::v1::HealthEvent event(std::string kind, std::string subject, std::string outcome, std::string reason,
                            std::string message) {
  node::v1::HealthEvent out;
  out.mutable_time()->set_seconds(5);
  out.mutable_time()->set_nanos(250'000'000);
  out.set_kind(std::move(kind));
  out.set_subject(std::move(subject));
  out.set_outcome(std::move(outcome));
  out.set_reason(std::move(reason));
  out.set_message(std::move(message));
  return out;
}

}  // namespace

TEST_CASE("a type that kubelet writes gets a name of its own, all others keep theirs") {
  const std::vector<Condition> conditions{
      {"DiskPressure", ConditionStatus::true_, "DiskIsFull", "/var", kSince},
      {"KernelDeadlock", ConditionStatus::false_, "KernelHasNoDeadlock", "", kSince}};
  const std::vector<NodeCondition> found = node_conditions(conditions, {});
  REQUIRE(found.size() == 2);
  CHECK(found[0] == NodeCondition{"OmnitideDiskPressure", "True", "DiskIsFull", "/var", kSince});
  CHECK(found[1] == NodeCondition{"KernelDeadlock", "False", "KernelHasNoDeadlock", "", kSince});
}

TEST_CASE("each type is there once, also when a check of the operator's has the other name") {
  const std::vector<Condition> conditions{{"Ready", ConditionStatus::true_, "A", "", kSince},
                                          {"OmnitideReady", ConditionStatus::false_, "B", "", kSince}};
  const std::vector<NodeCondition> found = node_conditions(conditions, {});
  REQUIRE(found.size() == 1);
  CHECK(found[0].reason == "A");
}

TEST_CASE("what was never known is not written; what is no longer known is Unknown") {
  const std::vector<Condition> conditions{{"MemoryErrors", ConditionStatus::unknown, "NoEdac", "", kSince}};
  CHECK(node_conditions(conditions, {}).empty());
  const std::vector<std::string> before{"MemoryErrors"};
  REQUIRE(node_conditions(conditions, before).size() == 1);
  CHECK(node_conditions(conditions, before)[0].status == "Unknown");
}

TEST_CASE("a condition that changed is told as node-problem-detector does it, a fault as a warning") {
  const auto bad = node_event("n", event("condition", "KernelDeadlock", "true", "SoftLockup", "CPU#1 stuck"));
  REQUIRE(bad);
  CHECK(bad->warning);
  CHECK(bad->reason == "SoftLockup");
  CHECK(bad->note == "Node condition KernelDeadlock is now: True, reason: SoftLockup, message: \"CPU#1 stuck\"");
  CHECK(bad->about.uid == "n");
  CHECK(bad->time == WallTime{std::chrono::milliseconds(5250)});
  const auto good = node_event("n", event("condition", "KernelDeadlock", "false", "KernelHasNoDeadlock", ""));
  CHECK_FALSE(good->warning);
}

TEST_CASE("a line of a log has its rule's reason, its source, and how often it came") {
  node::v1::HealthEvent line = event("event", "kernel-log", "", "OOMKilling", "Killed process 7 (x)");
  node::v1::HealthEvidence& before = *line.add_evidence();
  before.set_name("before");
  before.set_value("41");
  const auto note = node_event("n", line);
  CHECK(note->reason == "OOMKilling");
  CHECK(note->source == "kernel-log");
  CHECK(note->note == "Killed process 7 (x)");
  CHECK(note->times == 42);
}

TEST_CASE("remedies of two units are two events, and each outcome has its word") {
  const auto one =
      node_event("n", event("remedy", "restart-unit a.service", "act", "SystemdUnitFailed", "step 1 of 2"));
  const auto two =
      node_event("n", event("remedy", "restart-unit b.service", "act", "SystemdUnitFailed", "step 1 of 2"));
  CHECK(one->reason == "RemedyStarted");
  CHECK(one->action == "RestartUnit");
  CHECK(one->subject != two->subject);
  CHECK_FALSE(one->warning);
  const auto lost = node_event("n", event("remedy", "nothing", "exhausted", "DiskPressure", "nothing is left"));
  CHECK(lost->reason == "RemedyExhausted");
  CHECK(lost->warning);
}

TEST_CASE("what an operator only looked at is no event") {
  CHECK_FALSE(node_event("n", event("operator", "all checks", "run", "", "")));
  CHECK(node_event("n", event("operator", "remediation", "paused", "", "for 2h"))->reason == "RemediationPaused");
}

}  // namespace omnitide::daemon
