#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

v1::Node shown(ControlPlane& plane, const std::string& id) {
  return plane.admin().call("GET", "/v1/nodes/" + id).as<v1::Node>();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

io::HttpRequest restore_request(std::string body) {
  io::HttpRequest out = Caller::request("POST", "/v1/restore");
  out.headers.emplace_back("content-type", "application/octet-stream");
  out.body = std::move(body);
  return out;
}

}  // namespace

TEST_CASE("the CA rolls over without losing a node: delivered first, then used") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device first(plane), second(plane);
  first.join(token);
  second.join(token);
  CHECK(first.heartbeat().status() == 200);
  CHECK(second.heartbeat().status() == 200);
  CHECK(plane.admin().call("POST", "/v1/authorities:activate").status() == 412);
  const auto next = plane.admin().call("POST", "/v1/authorities:next").as<v1::CertificateAuthority>();
  CHECK(next.state() == "next");
  CHECK(next.delivered_to() == 0);
  CHECK(next.nodes() == 2);
  CHECK(plane.admin().call("POST", "/v1/authorities:next").status() == 412);
  CHECK(first.heartbeat().as<v1::NodeAck>().renew_now());
  CHECK(first.renew().as<v1::CertificateResponse>().ca_certificates_der_size() == 2);
  first.reconnect();
  CHECK_FALSE(first.heartbeat().as<v1::NodeAck>().renew_now());
  CHECK(plane.admin().call("POST", "/v1/authorities:activate").status() == 412);
  plane.restart();  // nothing of it is forgotten
  first.reconnect();
  second.reconnect();
  const auto renewed = second.renew().as<v1::CertificateResponse>();
  CHECK(plane.admin().call("POST", "/v1/authorities:activate").status() == 412);  // issued is not yet used
  second.reconnect();
  CHECK(second.heartbeat().status() == 200);
  CHECK(plane.admin().call("POST", "/v1/authorities:activate").as<v1::CertificateAuthority>().fingerprint() ==
        next.fingerprint());
  // New connections meet the new CA; certificates of the old one still open the door.
  CHECK(plane.admin().try_send(Caller::request("GET", "/v1/nodes")).has_error());
  plane.trusted_now = {next.certificate_der()};
  first.reconnect();
  CHECK(first.heartbeat().status() == 200);
  CHECK(first.renew().as<v1::CertificateResponse>().ca_certificates_der(0) == next.certificate_der());
  first.reconnect();
  CHECK(first.heartbeat().status() == 200);
  CHECK(plane.admin().call("GET", "/v1/authorities").as<v1::CertificateAuthorityList>().items_size() == 2);
}

TEST_CASE("a CA that not all nodes have is activated only by force") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  CHECK(plane.admin().call("POST", "/v1/authorities:next").status() == 200);
  CHECK(plane.admin().call("POST", "/v1/authorities:activate").status() == 412);
  CHECK(plane.admin().call("POST", "/v1/authorities:activate?force=maybe").status() == 400);
  CHECK(plane.admin().call("POST", "/v1/authorities:activate?force=true").status() == 200);
}

TEST_CASE("a backup brings everything back, online and offline") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device kept(plane), later(plane);
  kept.join(token);
  CHECK(kept.put(kept.put_request("facts")).status() == 200);
  const std::string backup = plane.admin().call("GET", "/v1/backup").http.body;
  REQUIRE(backup.starts_with("SQLite format 3"));
  later.join(token);
  (void)plane.admin().call("POST", "/v1/nodes/" + kept.id + ":ban").as<v1::Node>();
  const std::uint64_t version = shown(plane, kept.id).resource_version();
  SECTION("online") { CHECK(plane.admin().send(restore_request(backup)).status() == 200); }
  SECTION("offline") {
    must(write_file_durably(plane.folder.path + "/saved", backup));
    CHECK(registry::restore(plane.folder.path + "/saved", plane.folder.path).error().code == Code::unavailable);
    plane.stop();
    must(registry::restore(plane.folder.path + "/saved", plane.folder.path));
    plane.start();
  }
  CHECK(plane.running->nodes() == 1);
  CHECK(plane.admin().call("GET", "/v1/nodes/" + later.id).status() == 404);
  CHECK(shown(plane, kept.id).state() == v1::NODE_STATE_APPROVED);
  CHECK(plane.admin().call("GET", "/v1/nodes:watch?resourceVersion=" + std::to_string(version)).status() == 412);
  kept.reconnect();
  CHECK_FALSE(kept.heartbeat("facts").as<v1::NodeAck>().send_facts());
  plane.restart();
  CHECK(plane.running->nodes() == 1);
}

TEST_CASE("what is no sound backup of this registry changes nothing") {
  ControlPlane plane, other;
  Device device(plane);
  device.join(plane.token());
  std::string body;
  SECTION("nothing") {}
  SECTION("something else") { body = std::string(10'000, 'x'); }
  SECTION("a part") {
    body = plane.admin().call("GET", "/v1/backup").http.body;
    body.resize(body.size() / 2);
  }
  SECTION("another registry's, whose CA key is not here") { body = other.admin().call("GET", "/v1/backup").http.body; }
  CHECK(plane.admin().send(restore_request(body)).status() == 400);
  CHECK(plane.running->nodes() == 1);
  CHECK(device.heartbeat().status() == 200);
  for (const auto& file : std::filesystem::directory_iterator(plane.folder.path)) {
    CHECK(file.path().extension() != ".tmp");
  }
}

TEST_CASE("the probes are open, the metrics are the operators'") {
  ControlPlane plane;
  CHECK(plane.caller().call("GET", "/healthz").status() == 200);
  CHECK(plane.caller().call("GET", "/readyz").status() == 200);
  CHECK(plane.caller().call("GET", "/metrics").status() == 401);
  Device device(plane);
  device.join(plane.token());
  const Reply metrics = plane.admin().call("GET", "/metrics");
  CHECK(metrics.status() == 200);
  CHECK(has(metrics.http.body, "omnitide_registry_nodes{state=\"approved\"} 1\n"));
  CHECK(has(metrics.http.body, "omnitide_registry_joins_total 1\n"));
}

TEST_CASE("a second registry in the same folder says who holds it; a folder that was never made says how to") {
  ControlPlane plane;
  const auto second = registry::Registry::open(plane.loop, plane.options);
  REQUIRE(second.has_error());
  CHECK(exit_code(second.error().code) == 3);
  CHECK(has(second.error().message, std::to_string(::getpid())));
  registry::Options nowhere;
  nowhere.dir = plane.folder.path + "/nowhere";
  CHECK(has(registry::Registry::open(plane.loop, nowhere).error().hint, "init"));
  CHECK(registry::init({.dir = plane.folder.path, .operator_name = "x", .operator_days = 1, .clock = wall_now})
            .error()
            .code == Code::already_exists);
}

TEST_CASE("a registry that this user may not look at is not said to be missing") {
  ControlPlane plane;
  plane.stop();
  REQUIRE(::chmod(plane.folder.path.c_str(), 0) == 0);
  const bool root = ::geteuid() == 0;
  if (root) REQUIRE(::seteuid(65534) == 0);
  const auto opened = registry::Registry::open(plane.loop, plane.options);
  const auto token = registry::create_token(plane.options.dir, {});
  if (root) REQUIRE(::seteuid(0) == 0);
  REQUIRE(::chmod(plane.folder.path.c_str(), 0700) == 0);
  REQUIRE(opened.has_error());
  CHECK(exit_code(opened.error().code) == 4);
  CHECK(has(opened.error().message, "cannot look into " + plane.folder.path));
  CHECK(opened.error().hint == "run it as the user who owns that folder");
  CHECK(token.error().code == Code::permission_denied);
}

TEST_CASE("a CA key that is damaged or gone is a clear error naming the file") {
  ControlPlane plane;
  plane.stop();
  for (const auto& file : std::filesystem::directory_iterator(plane.folder.path + "/ca")) {
    SECTION("damaged") { must(write_file_durably(file.path(), "not a key", 0600)); }
    SECTION("gone") { std::filesystem::remove(file.path()); }
    SECTION("another") { must(write_file_durably(file.path(), must(io::PrivateKey::generate()).to_pem(), 0600)); }
    const auto opened = registry::Registry::open(plane.loop, plane.options);
    REQUIRE(opened.has_error());
    CHECK(opened.error().code == Code::data_loss);
    CHECK(has(opened.error().message, file.path().filename()));
    break;
  }
}
