// What CNI tells of a pod reaches policy with what the API server tells, in whichever order.
#include "agent/daemon/sandboxes.hpp"

#include "agent/daemon/kubernetes_text.hpp"
#include "agent/policy/parse.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
namespace k8s = omnitide::kubernetes;

namespace {

constexpr const char *kUid = "5a1e0c6e-0b1c-4e6c-9f4e-1d2c3b4a5968", *kOther = "11111111-0b1c-4e6c-9f4e-1d2c3b4a5968";

PolicyText pod(const std::string& name, const std::string& node, const std::string& uid,
               std::vector<std::string> addresses = {}, k8s::Labels annotations = {}) {
  k8s::Pod out;
  out.meta = {.name = {"shop", name}, .uid = k8s::uid_of(uid), .labels = {{"nodeName", "here"}}};
  out.meta.annotations = std::move(annotations);
  out.node = node;
  out.addresses = std::move(addresses);
  return {"kubernetes:Pod/shop/" + name, policy_text(out)};
}

cni::Sandbox sandbox(const std::string& name, const std::string& uid, const std::string& container = "c1") {
  return {.container = container,
          .name_space = "shop",
          .name = name,
          .uid = uid,
          .device = "veth7",
          .ifindex = 7,
          .addresses = {"10.244.1.5", "fd00::5"}};
}

policy::Pod read(const PolicyText& text) {
  policy::Parsed parsed = policy::parse(text.text, "test");
  INFO(text.text);
  REQUIRE(parsed.faults.empty());
  REQUIRE(parsed.objects.size() == 1);
  return std::get<policy::Pod>(parsed.objects.front());
}

policy::Pod amended(Sandboxes& sandboxes, PolicyText text) {
  std::vector<PolicyText> changes{std::move(text)};
  sandboxes.amend(changes);
  return read(changes.front());
}

}  // namespace

TEST_CASE("a pod that the API server told of gets its addresses and its device when its network is made") {
  Sandboxes sandboxes("here");
  CHECK(amended(sandboxes, pod("web", "here", kUid)).addresses.empty());
  const auto text = sandboxes.put(sandbox("web", kUid));
  REQUIRE(text);
  REQUIRE(*text);
  const policy::Pod now = read(**text);
  CHECK(now.addresses.size() == 2);
  CHECK(now.interface == "veth7");
  CHECK(now.node == "here");
}

TEST_CASE("and so does one that the API server tells of later") {
  Sandboxes sandboxes("here");
  const auto text = sandboxes.put(sandbox("web", kUid));
  REQUIRE(text);
  CHECK_FALSE(*text);
  CHECK(amended(sandboxes, pod("web", "here", kUid)).interface == "veth7");
  CHECK(amended(sandboxes, pod("web", "here", kUid, {"10.9.9.9"})).addresses.front() == *parse_address("10.244.1.5"));
}

TEST_CASE("another pod of the same name, and one of another node, are other pods") {
  Sandboxes sandboxes("here");
  CHECK(amended(sandboxes, pod("web", "here", kOther, {"10.9.9.9"})).interface.empty());
  CHECK_FALSE(*sandboxes.put(sandbox("web", kUid)));
  CHECK(amended(sandboxes, pod("web", "here", kOther, {"10.9.9.9"})).interface.empty());
  CHECK(amended(sandboxes, pod("web", "there", kUid)).interface.empty());
  CHECK(amended(sandboxes, pod("web", "here", kUid)).interface == "veth7");
}

TEST_CASE("a runtime that says no UID of the API is believed by the name") {
  for (const std::string uid : {"", "0123456789abcdef0123456789abcdef"}) {
    Sandboxes sandboxes("here");
    CHECK_FALSE(*sandboxes.put(sandbox("web", uid)));
    CHECK(amended(sandboxes, pod("web", "here", kUid)).interface == "veth7");
  }
}

TEST_CASE("annotations stay, one that names a device against ours") {
  Sandboxes sandboxes("here");
  CHECK_FALSE(*sandboxes.put(sandbox("web", kUid)));
  CHECK(amended(sandboxes, pod("web", "here", kUid, {}, {{"omnitide.io/allow-source", "any"}})).any_source);
  CHECK(amended(sandboxes, pod("web", "here", kUid, {}, {{"omnitide.io/allow-source", "any"}})).interface == "veth7");
  CHECK(amended(sandboxes, pod("web", "here", kUid, {}, {{"omnitide.io/interface", "own0"}})).interface == "own0");
}

TEST_CASE("the end of a container takes back what was told of it, not of the next one") {
  Sandboxes sandboxes("here");
  amended(sandboxes, pod("web", "here", kUid, {"10.9.9.9"}));
  REQUIRE(*sandboxes.put(sandbox("web", kUid, "c1")));
  REQUIRE(*sandboxes.put(sandbox("web", kUid, "c2")));
  CHECK_FALSE(sandboxes.erase(sandbox("web", kUid, "c1")));
  const auto text = sandboxes.erase(sandbox("web", kUid, "c2"));
  REQUIRE(text);
  CHECK(read(*text).interface.empty());
  CHECK(read(*text).addresses.front() == *parse_address("10.9.9.9"));
}

TEST_CASE("nothing is kept of a pod that is gone, and of no more pods than a node can have") {
  Sandboxes sandboxes("here");
  amended(sandboxes, pod("web", "here", kUid));
  REQUIRE(*sandboxes.put(sandbox("web", kUid)));
  std::vector<PolicyText> gone{{"kubernetes:Pod/shop/web", ""}};
  sandboxes.amend(gone);
  CHECK(gone.front().text.empty());
  CHECK(sandboxes.size() == 0);
  for (int i = 0; i < 4096; ++i)
    REQUIRE(sandboxes.put(sandbox(std::to_string(i), kUid)));
  CHECK(sandboxes.put(sandbox("more", kUid)).error().code == Code::resource_exhausted);
  CHECK(sandboxes.put(sandbox("7", kUid)));
}
