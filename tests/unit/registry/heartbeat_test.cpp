#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

std::string facts_bytes(const std::string& model) {
  v1::NodeFacts facts;
  facts.mutable_cpu()->set_model(model);
  return facts.SerializeAsString();
}

v1::Node shown(ControlPlane& plane, const std::string& id) {
  return plane.admin().call("GET", "/v1/nodes/" + id).as<v1::Node>();
}

std::string known_generation(const Reply& reply) {
  for (const auto& [name, value] : reply.http.headers) {
    if (to_lower(name) == "omnitide-generation") return value;
  }
  return {};
}

}  // namespace

TEST_CASE("facts travel only when the registry has not those bytes, and are stored as sent") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  const std::string facts = facts_bytes("one");
  CHECK(device.heartbeat(facts).as<v1::NodeAck>().send_facts());
  const v1::NodeAck ack = device.put(device.put_request(facts)).as<v1::NodeAck>();
  CHECK(ack.generation() == 1);
  CHECK_FALSE(ack.send_facts());
  CHECK(ack.heartbeat_interval_seconds() == 30);
  CHECK_FALSE(device.heartbeat(facts).as<v1::NodeAck>().send_facts());
  CHECK(device.heartbeat(facts_bytes("two")).as<v1::NodeAck>().send_facts());
  CHECK(shown(plane, device.id).facts().cpu().model() == "one");
  CHECK(shown(plane, device.id).facts_sha256() == io::sha256(facts));
  plane.restart();
  device.reconnect();
  CHECK_FALSE(device.heartbeat(facts).as<v1::NodeAck>().send_facts());
}

TEST_CASE("the same PUT twice has the effect of one, without a second write") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  const v1::PutNodeRequest request = device.put_request(facts_bytes("x"));
  CHECK(device.put(request).status() == 200);
  const std::uint64_t version = shown(plane, device.id).resource_version();
  CHECK(device.put(request).status() == 200);
  CHECK(shown(plane, device.id).resource_version() == version);
}

TEST_CASE("an older generation is refused with the number to go on from") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  device.generation = 7;
  CHECK(device.put(device.put_request("")).as<v1::NodeAck>().generation() == 7);
  device.generation = 6;
  const Reply put = device.put(device.put_request(facts_bytes("old")));
  CHECK(put.status() == 409);
  CHECK(put.error().field == "generation");
  CHECK(known_generation(put) == "7");
  const Reply beat = device.heartbeat();
  CHECK(beat.status() == 409);
  CHECK(known_generation(beat) == "7");
  CHECK(shown(plane, device.id).facts_sha256() == io::sha256(""));
  device.generation = 8;
  CHECK(device.put(device.put_request("")).status() == 200);
}

TEST_CASE("bytes that do not fit their digest are refused") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  v1::PutNodeRequest request = device.put_request(facts_bytes("x"));
  SECTION("facts") {
    request.set_facts(facts_bytes("y"));
    CHECK(device.put(request).error().field == "factsSha256");
  }
  SECTION("conditions") {
    request.set_conditions("");
    request.set_conditions_sha256(std::string(32, 'x'));
    CHECK(device.put(request).error().field == "conditionsSha256");
  }
  SECTION("a digest of another length") {
    request.clear_facts();
    request.set_facts_sha256("short");
    CHECK(device.put(request).status() == 400);
  }
  CHECK(shown(plane, device.id).facts_sha256().empty());
}

TEST_CASE("a node's certificate opens that node's routes and no others") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device device(plane), other(plane);
  device.join(token);
  other.join(token);
  v1::HeartbeatRequest request;
  CHECK(device.connection().call("POST", "/v1/nodes/" + other.id + "/heartbeat", &request).status() == 403);
  CHECK(device.connection().call("GET", "/v1/nodes").status() == 403);
  CHECK(device.connection().call("GET", "/v1/backup").status() == 403);
  CHECK(plane.caller().call("POST", "/v1/nodes/" + other.id + "/heartbeat", &request).status() == 401);
  CHECK(plane.caller().call("GET", "/v1/nodes").status() == 401);
  CHECK(plane.admin().call("POST", "/v1/nodes/" + other.id + "/heartbeat", &request).status() == 401);
}

TEST_CASE("a body that is too long is refused before it is read") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  CHECK(device.put(device.put_request(std::string(3U << 20U, 'f'))).status() == 413);
  CHECK(shown(plane, device.id).generation() == 0);
}

TEST_CASE("a reboot and a restart take over; nothing is quarantined") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  CHECK(device.heartbeat().status() == 200);
  for (int i = 0; i < 5; ++i) {
    device.start = "start-" + std::to_string(i);
    if (i % 2 == 1) device.boot = "boot-" + std::to_string(i);
    if (i == 3) plane.restart();
    device.reconnect();
    CHECK(device.heartbeat().status() == 200);
    CHECK(device.put(device.put_request("")).status() == 200);
  }
  CHECK(shown(plane, device.id).start_id() == "start-4");
  CHECK(shown(plane, device.id).state() == v1::NODE_STATE_APPROVED);
}

TEST_CASE("a cloned disk is found out when the older boot speaks again, also over a restart of the registry") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  CHECK(device.heartbeat().status() == 200);
  Device clone = device.copy();
  clone.reconnect();
  clone.boot = "boot-of-the-clone";
  clone.start = "start-of-the-clone";
  CHECK(clone.heartbeat().status() == 200);
  SECTION("at once") {}
  SECTION("after a restart of the registry") {
    plane.restart();
    clone.reconnect();
  }
  device.reconnect();
  const Reply found = device.heartbeat();
  CHECK(found.status() == 403);
  CHECK(found.error().message.find("quarantined") != std::string::npos);
  CHECK(found.error().message.find("boot-of-the-clone") != std::string::npos);
  CHECK(found.error().message.find(device.boot) != std::string::npos);
  CHECK(clone.heartbeat().status() == 403);
  CHECK(clone.renew().status() == 403);
  CHECK(clone.put(clone.put_request("")).status() == 403);
  CHECK(device.try_join(plane.token()).status() == 403);
  CHECK(shown(plane, device.id).state() == v1::NODE_STATE_QUARANTINED);
  plane.restart();
  device.reconnect();
  clone.reconnect();
  CHECK(device.heartbeat().status() == 403);

  // The operator ends the clone and approves: the device goes on, whichever spoke last.
  CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":approve").status() == 200);
  CHECK(device.heartbeat().status() == 200);
  CHECK(device.heartbeat().status() == 200);
}

TEST_CASE("one boot id from two starts at once is a clone") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  Device clone = device.copy();
  clone.reconnect();
  clone.start = "second-start";
  CHECK(clone.put(clone.put_request("")).status() == 200);
  device.reconnect();
  CHECK(device.put(device.put_request("")).status() == 403);
  CHECK(shown(plane, device.id).state() == v1::NODE_STATE_QUARANTINED);
}

TEST_CASE("the last words of a dead process quarantine nothing; speaking on a new connection does") {
  ControlPlane plane;
  Device old(plane);
  old.join(plane.token());
  CHECK(old.heartbeat().status() == 200);  // this connection is older than the successor
  Device fresh = old.copy();
  fresh.reconnect();
  fresh.start = "successor";
  CHECK(fresh.heartbeat().status() == 200);
  const Reply late = old.heartbeat();
  CHECK(late.status() == 409);
  CHECK(late.error().field == "startId");
  CHECK(fresh.heartbeat().status() == 200);
  // The client opens a new connection by itself, since the old one was closed.
  CHECK(old.heartbeat().status() == 403);
  CHECK(fresh.heartbeat().status() == 403);
}

TEST_CASE("a clone that joins or re-joins is found out too") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device device(plane);
  device.join(token);
  Device clone = device.copy();
  clone.boot = "other-boot";
  SECTION("join") {
    CHECK(clone.try_join(token).status() == 200);
    CHECK(device.try_join(token).status() == 403);
  }
  SECTION("re-join") {
    CHECK(clone.rejoin().status() == 200);
    CHECK(device.rejoin().status() == 403);
  }
  CHECK(shown(plane, device.id).state() == v1::NODE_STATE_QUARANTINED);
}

TEST_CASE("the interval grows with the number of nodes") {
  ControlPlane plane([](registry::Options& options) {
    options.heartbeat_interval = 1s;
    options.heartbeats_per_second = 1;
  });
  const std::string token = plane.token();
  std::vector<Device> devices;
  for (int i = 0; i < 3; ++i)
    devices.emplace_back(plane).join(token);
  CHECK(devices[0].heartbeat().as<v1::NodeAck>().heartbeat_interval_seconds() == 3);
}

TEST_CASE("when a node was last seen is on disk after a clean end") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  plane.clock.advance(1h);
  CHECK(device.heartbeat().status() == 200);
  const auto seen = shown(plane, device.id).last_seen().seconds();
  plane.restart();
  CHECK(shown(plane, device.id).last_seen().seconds() == seen);
}

TEST_CASE("JSON works like protobuf, and an unknown field is named") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  io::HttpRequest request;
  request.method = "POST";
  request.path = "/v1/nodes/" + device.id + "/heartbeat";
  request.headers = {{"content-type", "application/json"}};
  request.body = R"({"bootId":")" + device.boot + R"(","startId":")" + device.start + R"(","generation":"1"})";
  const Reply good = device.connection().send(request);
  CHECK(good.status() == 200);
  CHECK(good.http.body.find("\"heartbeatIntervalSeconds\":30") != std::string::npos);
  request.body = R"({"bootIdd":"x"})";
  const Reply bad = device.connection().send(request);
  CHECK(bad.status() == 400);
  CHECK(bad.http.body.find("bootIdd") != std::string::npos);
  request.headers = {{"content-type", "text/html"}};
  CHECK(device.connection().send(request).status() == 400);
}
