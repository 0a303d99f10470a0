// A cordoned Node and the slots that allow it.
#include "agent/kubernetes/cordon.hpp"

#include <boost/json.hpp>

#include "agent/kubernetes/slot.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{std::chrono::hours(100)};
constexpr std::string_view kPlain =
    R"({"metadata":{"resourceVersion":"7"},"spec":{"taints":[{"key":"gpu","value":"a","effect":"NoExecute"}]}})";

boost::json::value json(std::string_view text) { return boost::json::parse(std::string(text)); }

}  // namespace

TEST_CASE("a cordon adds its taint to those of others, and its mark, for the version that was read") {
  const CordonMarks marks = *cordon_marks(kPlain);
  CHECK_FALSE(marks.any());
  const boost::json::value expected =
      json(R"({"metadata":{"resourceVersion":"7","labels":{"omnitide.io/cordoned":"KernelDeadlock"}},"spec":{
    "unschedulable":true,"taints":[{"key":"gpu","value":"a","effect":"NoExecute"},
    {"key":"omnitide.io/unhealthy","value":"KernelDeadlock","effect":"NoSchedule"}]}})");
  CHECK(json(cordon_patch(marks, "KernelDeadlock")) == expected);
}

TEST_CASE("only what is ours is undone") {
  const CordonMarks marks = *cordon_marks(
      R"({"metadata":{"resourceVersion":"8","labels":{"omnitide.io/cordoned":"X"}},"spec":{"unschedulable":true,
      "taints":[{"key":"omnitide.io/unhealthy","effect":"NoSchedule"},{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}})");
  CHECK(marks.ours);
  CHECK(marks.tainted);
  const boost::json::value expected =
      json(R"({"metadata":{"resourceVersion":"8","labels":{"omnitide.io/cordoned":null}},"spec":{
    "unschedulable":null,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}})");
  CHECK(json(uncordon_patch(marks)) == expected);
}

TEST_CASE("a node that an operator has cordoned stays so") {
  CordonMarks marks = *cordon_marks(R"({"metadata":{"resourceVersion":"9"},"spec":{"unschedulable":true}})");
  const boost::json::value cordon = json(cordon_patch(marks, "X"));
  CHECK_FALSE(cordon.at("spec").as_object().contains("unschedulable"));
  CHECK_FALSE(cordon.at("metadata").as_object().contains("labels"));
  marks.tainted = true;
  CHECK(json(uncordon_patch(marks)) == json(R"({"metadata":{"resourceVersion":"9"},"spec":{"taints":[]}})"));
}

TEST_CASE("what is no Node is an error") {
  CHECK(cordon_marks("[]").has_error());
  CHECK(cordon_marks("{").has_error());
  CHECK(cordon_marks("{}").has_error());
}

TEST_CASE("a slot is read, taken in place of that version, and given back") {
  const Slot slot = *slot_of(
      R"({"metadata":{"name":"omnitide-slot-0","resourceVersion":"5"},"spec":{"holderIdentity":"node-2","leaseDurationSeconds":60,"renewTime":"2026-01-01T00:00:00.000000Z"}})");
  CHECK(slot.holder == "node-2");
  CHECK(slot.lasts == 60s);
  const WallTime now{std::chrono::milliseconds(1'600'000'000'250)};
  const boost::json::value expected =
      json(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"omnitide-slot-0",
    "namespace":"omnitide-system","resourceVersion":"5"},"spec":{"holderIdentity":"node-1","leaseDurationSeconds":900,
    "renewTime":"2020-09-13T12:26:40.250000Z"}})");
  CHECK(json(slot_body(slot, "omnitide-system", "node-1", now)) == expected);
  CHECK_FALSE(json(slot_body(slot, "s", "", now)).at("spec").as_object().contains("holderIdentity"));
  Slot absent;
  absent.name = slot_name(3);
  CHECK(json(slot_body(absent, "s", "n", now)).at("metadata") == json(R"({"name":"omnitide-slot-3","namespace":"s"})"));
  CHECK(slot_of("{}").has_error());
}

TEST_CASE("a slot has run out when it was not renewed here for as long as it lasts, whatever its time says") {
  SlotWatch watch;
  Slot slot{"omnitide-slot-0", "node-2", "5", "1999-01-01T00:00:00.000000Z", 60s};
  CHECK_FALSE(watch.expired(slot, kStart));
  CHECK_FALSE(watch.expired(slot, kStart + 59s));
  slot.renewed = "1999-01-01T00:00:01.000000Z";
  CHECK_FALSE(watch.expired(slot, kStart + 61s));
  CHECK_FALSE(watch.expired(slot, kStart + 120s));
  CHECK(watch.expired(slot, kStart + 121s));
  slot.holder = "node-3";
  CHECK_FALSE(watch.expired(slot, kStart + 122s));
}

}  // namespace omnitide::kubernetes
