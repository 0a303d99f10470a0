#include "agent/policy/objects.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide::policy;

TEST_CASE("not_in and does_not_exist hold for an absent key") {
  const Labels labels{{"app", "web"}, {"tier", "front"}};
  CHECK(matches(Selector{}, labels));
  CHECK(matches(Selector{{{"app", Operator::in, {"db", "web"}}}}, labels));
  CHECK_FALSE(matches(Selector{{{"app", Operator::not_in, {"web"}}}}, labels));
  CHECK(matches(Selector{{{"zone", Operator::not_in, {"a"}}}}, labels));
  CHECK(matches(Selector{{{"zone", Operator::does_not_exist, {}}}}, labels));
  CHECK_FALSE(matches(Selector{{{"zone", Operator::exists, {}}}}, labels));
  CHECK_FALSE(matches(Selector{{{"zone", Operator::in, {""}}}}, labels));
}

TEST_CASE("an object is named by kind, namespace and name") {
  Pod pod;
  pod.name_space = "shop";
  pod.name = "web";
  CHECK(describe(key_of(pod)) == "Pod shop/web");
  HostPolicy policy;
  policy.name = "edge";
  CHECK(describe(key_of(policy)) == "HostPolicy edge");
}
