// HostPolicy: omnitide's own kind, docs/policy.md.
#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

std::string policy_of(std::string_view spec) {
  return fmt::format("apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata: {{name: edge}}\nspec: {{{}}}\n",
                     spec);
}
HostPolicy good(std::string_view spec) { return only<HostPolicy>(policy_of(spec)); }
Texts wrong(std::string_view spec) {
  const Parsed parsed = parse(policy_of(spec), kFile);
  CHECK(parsed.objects.empty());
  Texts out = texts(parsed.faults);
  for (std::string& fault : out) {
    constexpr std::string_view kName = "4: HostPolicy edge: spec.";
    if (fault.starts_with(kName)) fault.erase(0, kName.size());
  }
  return out;
}

}  // namespace

TEST_CASE("a whole host policy is read as it is meant") {
  const HostPolicy policy = good(
      "nodeSelector: {matchLabels: {role: gateway}}, interfaces: [eth0, 'wl*'], deny: [192.0.2.7/24, '2001:db8::/32'],"
      " failSafe: {ingress: [{port: 2222}], egress: []}, policyTypes: [Ingress, Egress],"
      " ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, endPort: 90}]}, "
      "{}]");
  CHECK(policy.name == "edge");
  CHECK(policy.nodes.requirements == std::vector<Requirement>{{"role", Operator::in, {"gateway"}}});
  CHECK(policy.interfaces == std::vector<std::string>{"eth0", "wl*"});
  CHECK(policy.deny == std::vector<Prefix>{prefix("192.0.2.0/24"), prefix("2001:db8::/32")});
  CHECK(policy.fail_safe_ingress == std::vector<PortMatch>{{Protocol::tcp, 2222, 2222, ""}});
  CHECK(policy.fail_safe_egress.empty());
  CHECK(policy.isolates_ingress);
  CHECK(policy.isolates_egress);
  REQUIRE(policy.ingress.size() == 2);
  CHECK(policy.ingress[0].peers[0].blocks == std::vector<Block>{{prefix("10.0.0.0/8"), {prefix("10.1.0.0/16")}}});
  CHECK(policy.ingress[0].ports == std::vector<PortMatch>{{Protocol::tcp, 80, 90, ""}});
  CHECK(policy.ingress[1].any_peer);
}

TEST_CASE("the fail-safe ports have defaults, each direction its own") {
  const std::vector<PortMatch> in{
      {Protocol::tcp, 22, 22, ""}, {Protocol::udp, 68, 68, ""}, {Protocol::udp, 546, 546, ""}};
  const std::vector<PortMatch> out{{Protocol::udp, 53, 53, ""},   {Protocol::tcp, 53, 53, ""},
                                   {Protocol::udp, 67, 67, ""},   {Protocol::udp, 547, 547, ""},
                                   {Protocol::udp, 123, 123, ""}, {Protocol::tcp, 7443, 7443, ""}};
  CHECK(good("ingress: []").fail_safe_ingress == in);
  CHECK(good("ingress: []").fail_safe_egress == out);
  CHECK(good("failSafe: {ingress: []}").fail_safe_ingress.empty());
  CHECK(good("failSafe: {ingress: []}").fail_safe_egress == out);
}

TEST_CASE("a mere deny list isolates nothing; a list of rules isolates its direction") {
  const auto types = [](std::string_view spec) {
    const HostPolicy policy = good(spec);
    return std::pair(policy.isolates_ingress, policy.isolates_egress);
  };
  CHECK(types("deny: [10.0.0.0/8]") == std::pair(false, false));
  CHECK(types("ingress: []") == std::pair(true, false));
  CHECK(types("egress: [{}]") == std::pair(false, true));
  CHECK(types("ingress: ~, egress: []") == std::pair(false, true));
  CHECK(types("policyTypes: [Ingress], egress: [{}]") == std::pair(true, false));
}

TEST_CASE("what a device cannot have is refused") {
  CHECK(wrong("ingress: [{from: [{podSelector: {}}]}]").size() == 1);
  CHECK(wrong("ingress: [{from: [{}]}]") == Texts{"ingress[0].from[0]: must say which peer (write ipBlock)"});
  CHECK(wrong("ingress: [{ports: [{port: ssh}]}]") ==
        Texts{"ingress[0].ports[0].port: must be a number: a device has no named ports"});
  CHECK(wrong("ingress: [{from: [{ipBlock: {cidr: 010.0.0.0/8}}]}]").size() == 1);
  CHECK(wrong("deny: [10.0.0.1]") == Texts{"deny[0]: \"10.0.0.1\" is no CIDR (write 10.0.0.1/32 for the one address)"});
  CHECK(wrong("deny: [{cidr: 10.0.0.0/8}]") == Texts{"deny[0]: must be text and is a map"});
  CHECK(wrong("interfaces: [a/b]") ==
        Texts{"interfaces[0]: the interface \"a/b\" must not have '/', ':', white space or what is not ASCII"});
  CHECK(wrong("interfaces: ['eth[0]']") ==
        Texts{"interfaces[0]: the interface \"eth[0]\" may have * and ? as wildcards"});
  CHECK(wrong("interfaces: [a234567890123456]").size() == 1);
  CHECK(wrong("interfaces: eth0").size() == 1);
  CHECK(wrong("nodeSelector: {role: gateway}") ==
        Texts{"nodeSelector.role: is not known here (known are matchLabels, matchExpressions)"});
  CHECK(wrong("failsafe: {}") == Texts{"failsafe: is not known here (did you mean failSafe?)"});
  CHECK(wrong("failSafe: {ingress: [{port: 0}]}") == Texts{"failSafe.ingress[0].port: must be from 1 to 65535"});
  CHECK(wrong("failSafe: {forward: []}").size() == 1);
  CHECK(faults_of("apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata: {name: edge}\n") ==
        Texts{"1: HostPolicy edge: spec: is required"});
}

TEST_CASE("a deny list of 100,000 networks is read, sorted and each once") {
  std::string text = "apiVersion: omnitide.io/v1alpha1\nkind: HostPolicy\nmetadata:\n  name: edge\nspec:\n  deny:\n";
  for (unsigned i = 100'000; i-- > 0;)
    text += fmt::format("  - {}.{}.{}.0/24\n", 10 + i / 65536, i / 256 % 256, i % 256);
  text += "  - 10.0.0.0/24\n";
  const HostPolicy policy = only<HostPolicy>(text);
  REQUIRE(policy.deny.size() == 100'000);
  CHECK(policy.deny.front() == prefix("10.0.0.0/24"));
  CHECK(std::is_sorted(policy.deny.begin(), policy.deny.end()));
}
