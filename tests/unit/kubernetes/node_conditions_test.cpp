// Conditions of a Node as the server is given them, and what its answers say.
#include "agent/kubernetes/node_conditions.hpp"

#include <boost/json.hpp>

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

constexpr WallTime kSince{std::chrono::milliseconds(1'600'000'000'250)}, kBeat{std::chrono::seconds(1'600'000'300)};

std::string node_with(std::string_view type, std::string_view beat) {
  return R"({"kind":"Node","status":{"conditions":[{"type":"Ready","lastHeartbeatTime":"2020-01-01T00:00:00Z"},{"type":")" +
         std::string(type) + R"(")" + (beat.empty() ? "" : R"(,"lastHeartbeatTime":")" + std::string(beat) + "\"") +
         "}]}}";
}

}  // namespace

TEST_CASE("a condition has its times in whole seconds, and nothing but status is written") {
  const std::vector<NodeCondition> conditions{{"KernelDeadlock", "True", "SoftLockup", "CPU#1 \"stuck\"", kSince}};
  const boost::json::value body = boost::json::parse(conditions_body("node-1", conditions, kBeat));
  const boost::json::value expected =
      boost::json::parse(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1"},"status":{"conditions":[
    {"type":"KernelDeadlock","status":"True","lastHeartbeatTime":"2020-09-13T12:31:40Z",
     "lastTransitionTime":"2020-09-13T12:26:40Z","reason":"SoftLockup","message":"CPU#1 \"stuck\""}]}})");
  CHECK(body == expected);
}

TEST_CASE("no condition is a status without any, so that those that were written go") {
  CHECK(boost::json::parse(conditions_body("n", {}, kBeat)) ==
        boost::json::parse(R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n"},"status":{}})"));
}

TEST_CASE("words from outside are bounded and valid") {
  const std::vector<NodeCondition> conditions{
      {"A", "True", std::string(500, 'r'), "\xff" + std::string(5000, 'm'), kSince}};
  const boost::json::value body = boost::json::parse(conditions_body("n", conditions, kBeat));
  const boost::json::object& written = body.at("status").at("conditions").at(0).as_object();
  CHECK(written.at("reason").as_string().size() == 128);
  CHECK(written.at("message").as_string().size() == 1024);
  CHECK(written.at("message").as_string().ends_with("m..."));
}

TEST_CASE("kubelet's types are known") {
  for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"})
    CHECK(written_by_kubelet(type));
  CHECK_FALSE(written_by_kubelet("KernelDeadlock"));
}

TEST_CASE("the types that another one has are those of the server's conflicts, each once") {
  const std::vector<Conflict> conflicts{{".status.conditions[type=\"KernelDeadlock\"].lastHeartbeatTime", "npd"},
                                        {".status.conditions[type=\"KernelDeadlock\"].message", "npd"},
                                        {".status.conditions[type=\"ReadonlyFilesystem\"].message", "npd"},
                                        {".metadata.labels.a", "x"},
                                        {".status.conditions[type=\"Cut", "x"}};
  CHECK(types_in_conflict(conflicts) == std::vector<std::string>{"KernelDeadlock", "ReadonlyFilesystem"});
}

TEST_CASE("the types that the admission policy does not know are read off its words") {
  CHECK(types_not_admitted(
            "nodes \"n\" is forbidden: ValidatingAdmissionPolicy 'omnitide-agent-nodes' with binding "
            "'omnitide-agent-nodes' denied request: the agent may not write the condition WebUnhealthy, Raid") ==
        std::vector<std::string>{"WebUnhealthy", "Raid"});
  CHECK(types_not_admitted("nodes \"n\" is forbidden: no right").empty());
}

TEST_CASE("a type is free when its heartbeat is too old, and never without one") {
  const std::vector<std::string> asked{"KernelDeadlock"};
  const WallTime since = *parse_rfc3339("2026-01-01T12:00:00Z");
  CHECK(*abandoned_types(node_with("KernelDeadlock", "2026-01-01T11:59:59Z"), asked, since) == asked);
  CHECK(abandoned_types(node_with("KernelDeadlock", "2026-01-01T12:00:00Z"), asked, since)->empty());
  CHECK(abandoned_types(node_with("KernelDeadlock", ""), asked, since)->empty());
  CHECK(abandoned_types(node_with("Other", "2020-01-01T12:00:00Z"), asked, since)->empty());
  CHECK(abandoned_types("{}", asked, since).has_error());
  CHECK(abandoned_types("no JSON", asked, since).has_error());
}

}  // namespace omnitide::kubernetes
