// Policies through the registry: documents, and who gets which in what version.
#include "tests/harness/policies.hpp"

#include "agent/registry/policy_repository.hpp"
#include "agent/registry/schema.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::test;

TEST_CASE("a node without documents is told so, and one with documents gets them in the order of their names") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  v1::NodeAck ack = device.heartbeat().as<v1::NodeAck>();
  CHECK(ack.desired_version() == 0);
  CHECK(ack.desired_sha256() == io::sha256(""));
  CHECK(fetch(device).as<v1::DesiredState>().documents().empty());
  put(plane, "web", policy("web"));
  const v1::PolicyDocument second = put(plane, "api", policy("api"));
  CHECK(second.objects() == 1);
  CHECK(second.changed_by() == "admin");
  ack = device.heartbeat().as<v1::NodeAck>();
  CHECK(ack.desired_version() == 1);
  const Reply reply = fetch(device);
  const auto state = reply.as<v1::DesiredState>();
  CHECK(names(state) == std::vector<std::string>{"api", "web"});
  CHECK(state.documents(1).text() == policy("web"));
  CHECK(state.version() == ack.desired_version());
  CHECK(state.sha256() == ack.desired_sha256());
  CHECK(state.sha256() == digest_of(state));
  CHECK(reply.http.header("etag") == "\"" + hex_encode(state.sha256()) + "\"");
  CHECK(fetch(device, "\"" + hex_encode(state.sha256()) + "\"").status() == 304);
  CHECK(fetch(device, "\"" + hex_encode(io::sha256("")) + "\"").status() == 200);
  CHECK(device.put(device.put_request("facts")).as<v1::NodeAck>().desired_sha256() == state.sha256());
}

TEST_CASE("the same content has the same version, another content another one, over a restart too") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  const auto version = [&] { return device.heartbeat().as<v1::NodeAck>().desired_version(); };
  put(plane, "web", policy("web", 80));
  CHECK(version() == 1);
  put(plane, "web", policy("web", 81));
  CHECK(version() == 2);
  put(plane, "web", policy("web", 80));
  CHECK(version() == 1);
  CHECK(plane.admin().call("DELETE", "/v1/policies/web").status() == 200);
  CHECK(version() == 0);
  put(plane, "web", policy("web", 81));
  plane.restart();
  device.reconnect();
  CHECK(version() == 2);
  put(plane, "web", policy("web", 82));
  CHECK(version() == 3);
}

TEST_CASE("selectors decide which nodes get a document; labels that change count at once") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device one(plane), two(plane);
  one.join(token);
  two.join(token);
  label(plane, one.id, "site", "lab");
  put(plane, "everywhere", policy("a"));
  put(plane, "lab", policy("b"), "site=lab");
  CHECK(names(fetch(one).as<v1::DesiredState>()) == std::vector<std::string>{"everywhere", "lab"});
  CHECK(names(fetch(two).as<v1::DesiredState>()) == std::vector<std::string>{"everywhere"});
  CHECK(one.heartbeat().as<v1::NodeAck>().desired_sha256() != two.heartbeat().as<v1::NodeAck>().desired_sha256());
  label(plane, two.id, "site", "lab");
  CHECK(one.heartbeat().as<v1::NodeAck>().desired_sha256() == two.heartbeat().as<v1::NodeAck>().desired_sha256());
  // A text that is put again without a selector keeps its own: it must not spread by mistake.
  CHECK(put(plane, "lab", policy("b", 443)).node_selector() == "site=lab");
  CHECK(put(plane, "lab", policy("b", 443), "").node_selector().empty());
  const auto list = plane.admin().call("GET", "/v1/policies").as<v1::PolicyDocumentList>();
  REQUIRE(list.items_size() == 2);
  CHECK(list.items(0).name() == "everywhere");
  CHECK(list.items(0).nodes() == 2);
  CHECK(list.items(0).text().empty());
}

TEST_CASE("a text with faults is refused with line and field, and the present one stays") {
  ControlPlane plane;
  put(plane, "web", policy("web"));
  std::string bad = policy("web");
  bad.replace(bad.find("port: 80"), 8, "port: 99999");
  const Reply refused = put(plane, "web", text_of(bad + "---\nkind: Nonsense: {\n"));
  REQUIRE(refused.status() == 400);
  CHECK(refused.error().field == "text");
  CHECK(refused.error().message.find("line 8: NetworkPolicy shop/web: spec.ingress[0].ports[0].port") !=
        std::string::npos);
  CHECK(refused.error().message.find("line 10") != std::string::npos);
  CHECK(plane.admin().call("GET", "/v1/policies/web").as<v1::PolicyDocument>().text() == policy("web"));
  CHECK(put(plane, "web", text_of("")).error().field == "text");
  CHECK(put(plane, "web", text_of("apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n")).status() == 400);
  CHECK(put(plane, "web", text_of(policy("web"), "site in lab")).error().field == "nodeSelector");
  CHECK(put(plane, "Web", text_of(policy("web"))).error().field == "name");
  CHECK(put(plane, "-web", text_of(policy("web"))).error().field == "name");
  CHECK(put(plane, std::string(64, 'w'), text_of(policy("web"))).error().field == "name");
  const auto remarked =
      put(plane, "more", policy("more") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: x, namespace: shop}\n");
  REQUIRE(remarked.remarks_size() == 1);
  CHECK(remarked.remarks(0).find("1 objects of other kinds") != std::string::npos);
}

TEST_CASE("a revision that is no longer the present one is refused; the same again changes nothing") {
  ControlPlane plane;
  const auto first = put(plane, "web", policy("web", 80));
  CHECK(put(plane, "web", policy("web", 80)).revision() == first.revision());
  v1::PutPolicyRequest request = text_of(policy("web", 81));
  request.set_revision(first.revision());
  const auto second = put(plane, "web", request).as<v1::PolicyDocument>();
  CHECK(second.revision() > first.revision());
  const Reply stale = put(plane, "web", request);
  CHECK(stale.status() == 409);
  CHECK(stale.error().field == "revision");
}

TEST_CASE("earlier revisions can be seen, deleted documents too; the last ten are kept") {
  ControlPlane plane;
  const auto first = put(plane, "web", policy("web", 1));
  const auto second = put(plane, "web", policy("web", 2));
  CHECK(plane.admin().call("DELETE", "/v1/policies/web").status() == 200);
  CHECK(plane.admin().call("DELETE", "/v1/policies/web").status() == 404);
  CHECK(plane.admin().call("GET", "/v1/policies/web").status() == 404);
  const auto old = plane.admin()
                       .call("GET", "/v1/policies/web?revision=" + std::to_string(first.revision()))
                       .as<v1::PolicyDocument>();
  CHECK(old.text() == policy("web", 1));
  auto history = plane.admin().call("GET", "/v1/policies/web/revisions").as<v1::PolicyDocumentList>();
  REQUIRE(history.items_size() == 3);
  CHECK(history.items(0).deleted());
  CHECK(history.items(1).revision() == second.revision());
  for (int port = 10; port < 30; ++port)
    put(plane, "web", policy("web", port));
  history = plane.admin().call("GET", "/v1/policies/web/revisions").as<v1::PolicyDocumentList>();
  REQUIRE(history.items_size() == static_cast<int>(registry::kRevisionsKept));
  CHECK(plane.admin().call("GET", "/v1/policies/other/revisions").status() == 404);
}

TEST_CASE("megabytes travel whole, also as JSON; more than a node may have is refused before it is stored") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  for (const char* name : {"a", "b"})
    put(plane, name, long_policy(name, 3U << 20U));
  CHECK(put(plane, "huge", text_of(long_policy("huge", 5U << 20U))).error().field == "text");
  const Reply refused = put(plane, "c", text_of(long_policy("c", 3U << 20U)));
  CHECK(refused.status() == 412);
  CHECK(refused.error().message.find(device.id) != std::string::npos);
  CHECK(put(plane, "c", text_of(long_policy("c", 3U << 20U), "site=other")).status() == 200);
  io::ClientOptions options = plane.client_options(plane.tls_options(device.certificate, device.key));
  options.body_limit = 32U << 20U;
  Caller caller(plane.loop, options);
  const auto state = caller.call("GET", "/v1/nodes/" + device.id + "/desired-state").as<v1::DesiredState>();
  REQUIRE(names(state) == std::vector<std::string>{"a", "b"});
  CHECK(digest_of(state) == state.sha256());
  io::HttpRequest json = Caller::request("GET", "/v1/nodes/" + device.id + "/desired-state");
  json.headers = {{"accept", "application/json"}};
  const std::string text = caller.send(json).http.body;
  CHECK(text.starts_with("{\"version\":\"1\",\"sha256\":\"" + base64_encode(state.sha256()) + "\",\"documents\":[{"));
  CHECK(text.ends_with("\"}]}"));
  CHECK(text.size() > 6U << 20U);
  // A label may still bring a node more than it may have: then it keeps what it has.
  label(plane, device.id, "site", "other");
  CHECK(caller.call("GET", "/v1/nodes/" + device.id + "/desired-state").status() == 412);
}

TEST_CASE("only the node itself gets its state, and only while it is approved") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device one(plane), two(plane);
  one.join(token);
  two.join(token);
  CHECK(one.connection().call("GET", "/v1/nodes/" + two.id + "/desired-state").status() == 403);
  CHECK(plane.admin().call("GET", "/v1/nodes/" + one.id + "/desired-state").status() == 401);
  CHECK(one.connection().call("GET", "/v1/policies").status() == 403);
  CHECK(plane.caller().call("GET", "/v1/policies").status() == 401);
  const v1::PutPolicyRequest request = text_of(policy("web"));
  CHECK(one.connection().call("PUT", "/v1/policies/web", &request).status() == 403);
  CHECK(plane.admin().call("POST", "/v1/nodes/" + one.id + ":ban").status() == 200);
  CHECK(fetch(one).status() == 403);
}

TEST_CASE("a heartbeat makes no query and no commit once its content is numbered") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  (void)device.put(device.put_request("facts"));
  for (int i = 0; i < 20; ++i)
    put(plane, "p" + std::to_string(i), policy("p"), "site notin (x,y)");
  (void)device.heartbeat();
  const std::uint64_t before = plane.metric("changes_total");
  for (int i = 0; i < 50; ++i)
    (void)device.heartbeat();
  // Only last_seen, which a timer writes.
  CHECK(plane.metric("changes_total") - before <= 2);
}

TEST_CASE("a backup has the policies, and restoring brings them back with their versions") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  put(plane, "web", policy("web", 80));
  const auto state = fetch(device).as<v1::DesiredState>();
  io::HttpRequest restore = Caller::request("POST", "/v1/restore");
  restore.body = plane.admin().call("GET", "/v1/backup").http.body;
  restore.headers.emplace_back("content-type", "application/octet-stream");
  put(plane, "web", policy("web", 81));
  put(plane, "api", policy("api"));
  CHECK(plane.admin().send(restore).status() == 200);
  const auto back = fetch(device).as<v1::DesiredState>();
  CHECK(back.sha256() == state.sha256());
  CHECK(back.version() == state.version());
}

TEST_CASE("a database of the form before policies is brought up and keeps its nodes") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  plane.stop();
  {
    auto database =
        must(registry::Database::open(plane.folder.path + "/registry.db", registry::Database::Mode::read_write));
    must(database.execute(
        "DROP TABLE policies; DROP TABLE desired_versions; DROP TABLE applied; DROP TABLE reboot_leases;"
        "PRAGMA user_version = 1"));
  }
  plane.start();
  device.reconnect();
  CHECK(device.heartbeat().status() == 200);
  put(plane, "web", policy("web"));
  CHECK(device.heartbeat().as<v1::NodeAck>().desired_version() == 1);
}
