// Which policy object of the API server a source of policy is.
#include "agent/daemon/policy_events.hpp"

#include "tests/harness/catch.hpp"

namespace omnitide::daemon {

TEST_CASE("a source of the API server names its kind, namespace and object") {
  const auto policy = policy_object("kubernetes:NetworkPolicy/shop/web");
  REQUIRE(policy);
  CHECK(policy->kind == "NetworkPolicy");
  CHECK(policy->name == kubernetes::Name{"shop", "web"});
  CHECK_FALSE(policy->has_status);
  const auto host = policy_object("kubernetes:HostPolicy/ssh");
  REQUIRE(host);
  CHECK(host->name == kubernetes::Name{"", "ssh"});
  CHECK(host->has_status);
  CHECK(policy_object("kubernetes:ClusterNetworkPolicy/all")->resource.plural == "clusternetworkpolicies");
}

TEST_CASE("files, the registry's documents and objects that are no policy are none") {
  for (const char* source :
       {"web.yaml", "registry:web", "kubernetes:Pod/shop/web", "kubernetes:", "kubernetes:HostPolicy", ""})
    CHECK_FALSE(policy_object(source));
}

}  // namespace omnitide::daemon
