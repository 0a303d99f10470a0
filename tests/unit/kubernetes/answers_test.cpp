// What the agent learns of itself and of others from the API server's answers.
#include "agent/kubernetes/answers.hpp"

#include "agent/kubernetes/client.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::kubernetes {

TEST_CASE("a pod's token says which node it was issued for, others do not") {
  const Result<Self> pod = self_of(
      R"({"kind":"SelfSubjectReview","status":{"userInfo":{"username":"system:serviceaccount:a:b","extra":{
         "authentication.kubernetes.io/node-name":["node-1"],"authentication.kubernetes.io/pod-name":["p"]}}}})");
  REQUIRE(pod);
  CHECK(pod->user == "system:serviceaccount:a:b");
  CHECK(pod->node == "node-1");
  const Result<Self> old = self_of(R"({"status":{"userInfo":{"username":"admin"}}})");
  REQUIRE(old);
  CHECK(old->node.empty());
  CHECK(self_of(R"({"status":{}})").error().code == Code::data_loss);
  CHECK(self_of("<html>").error().code == Code::data_loss);
  CHECK(self_of(R"({"status":{"userInfo":{"extra":{"authentication.kubernetes.io/node-name":[]}}}})")->node.empty());
}

TEST_CASE("a Node's answer gives its UID and its addresses") {
  const Result<NodeAnswer> node =
      node_of(R"({"metadata":{"uid":"u-1"},"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"},7]}})");
  REQUIRE(node);
  CHECK(node->uid == "u-1");
  CHECK(node->addresses == std::vector<std::string>{"10.0.0.1"});
  CHECK(node_of(R"({"metadata":{}})").has_error());
}

TEST_CASE("a list's answer gives how many there are") {
  CHECK(*item_count(R"({"items":[{},{}]})") == 2);
  CHECK(*item_count(R"({"items":null})") == 0);
  CHECK(item_count("[]").has_error());
}

TEST_CASE("an apply that would take fields from others names the fields and their owners") {
  test::Loop loop;
  test::Http2Server server([](const test::Http2Asked& asked) {
    CHECK(asked.headers.at(":path") == "/api/v1/nodes/n?fieldManager=me");
    return test::Http2Answer{
        .status = 409,
        .body = R"({"kind":"Status","code":409,"reason":"Conflict","message":"Apply failed with 2 conflicts","details":{
          "causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl-label\" using v1",
                     "field":".metadata.labels.omnitide.io/gpus"},
                    {"reason":"Other","field":".x"},
                    {"reason":"FieldManagerConflict","message":"?","field":".metadata.labels.a"}]}})"};
  });
  Access access;
  access.server = "http://" + server.address();
  Client client(loop.context, loop.pool, access);
  const auto answer = loop.run(client.ask(apply_request(kNodes, {{}, "n"}, "{}", "me", false)));
  REQUIRE(answer.has_error());
  const std::vector<Conflict>& conflicts = answer.error().conflicts;
  REQUIRE(conflicts.size() == 2);
  CHECK(conflicts[0].field == ".metadata.labels.omnitide.io/gpus");
  CHECK(conflicts[0].manager == "kubectl-label");
  CHECK(conflicts[1].manager == "another one");
}

}  // namespace omnitide::kubernetes
