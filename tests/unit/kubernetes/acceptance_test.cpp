// The condition on a policy object that many agents agree on.
#include "agent/kubernetes/acceptance.hpp"

#include <boost/json.hpp>

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

std::string object(std::string_view status, int observed, int generation = 3) {
  return R"({"metadata":{"uid":"u","generation":)" + std::to_string(generation) +
         R"(},"status":{"conditions":[{"type":"other/Accepted","status":"True","observedGeneration":9},{"type":"omnitide.io/Accepted","status":")" +
         std::string(status) + R"(","observedGeneration":)" + std::to_string(observed) + "}]}}";
}

}  // namespace

TEST_CASE("an object that nobody spoke of takes a refusal, and needs no word that it is well") {
  const Acceptance none = *acceptance_of(R"({"metadata":{"uid":"u","generation":1}})");
  CHECK(none.refusal_is_news());
  CHECK_FALSE(none.acceptance_is_news());
}

TEST_CASE("a refusal is said once for a generation, and is the last word of it") {
  const Acceptance refused = *acceptance_of(object("False", 3));
  CHECK_FALSE(refused.refusal_is_news());
  CHECK_FALSE(refused.acceptance_is_news());
  const Acceptance mended = *acceptance_of(object("False", 2));
  CHECK(mended.refusal_is_news());
  CHECK(mended.acceptance_is_news());
  const Acceptance accepted = *acceptance_of(object("True", 3));
  CHECK(accepted.refusal_is_news());
  CHECK_FALSE(accepted.acceptance_is_news());
}

TEST_CASE("the condition is applied to the status alone") {
  const std::string body = acceptance_body("omnitide.io/v1alpha1", "HostPolicy", "ssh", 3,
                                           {false, "PolicyRefused", "spec: \"x\" is not known"},
                                           WallTime{std::chrono::seconds(1'600'000'000)});
  const boost::json::value expected = boost::json::parse(
      R"({"apiVersion":"omnitide.io/v1alpha1","kind":"HostPolicy","metadata":{"name":"ssh"},"status":{
    "conditions":[{"type":"omnitide.io/Accepted","status":"False","observedGeneration":3,
    "lastTransitionTime":"2020-09-13T12:26:40Z","reason":"PolicyRefused","message":"spec: \"x\" is not known"}]}})");
  CHECK(boost::json::parse(body) == expected);
  CHECK(acceptance_of("[]").has_error());
}

}  // namespace omnitide::kubernetes
