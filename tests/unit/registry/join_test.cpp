#include <thread>

#include "tests/harness/catch.hpp"
#include "tests/harness/network_namespace.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;

TEST_CASE("a device joins by a token and gets a short-lived certificate of its own name") {
  ControlPlane plane;
  Device device(plane);
  const v1::JoinResponse joined = device.join(plane.token());
  CHECK(joined.node_id() == device.id);
  CHECK(joined.state() == v1::NODE_STATE_APPROVED);
  CHECK(joined.ca_certificates_der_size() == 1);
  const io::CertificateInfo info = must(io::parse_certificate(joined.certificate_der()));
  CHECK(info.common_name == device.id);
  CHECK(info.organizational_unit == "node");
  CHECK(info.not_after - plane.clock.now() <= 24h);
  CHECK(info.not_after - plane.clock.now() > 23h);
  CHECK_FALSE(info.is_ca);
  CHECK(device.heartbeat().status() == 200);
}

TEST_CASE("a token's uses are counted; the same key joining again takes no second one") {
  ControlPlane plane;
  const std::string token = plane.token(2);
  Device first(plane), second(plane), third(plane);
  const std::string id = first.join(token).node_id();
  CHECK(first.join(token).node_id() == id);
  CHECK(first.join(token).node_id() == id);
  second.join(token);
  const Reply refused = third.try_join(token);
  CHECK(refused.status() == 401);
  CHECK(refused.error().field == "token");
  CHECK(refused.error().message.find("used 2 times") != std::string::npos);
  plane.restart();
  CHECK(third.try_join(token).status() == 401);
  CHECK(first.join(token).node_id() == id);
}

TEST_CASE("expired, revoked, unknown and wrong tokens are refused") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device device(plane);
  SECTION("expired") {
    plane.clock.advance(25h);
    const Reply refused = device.try_join(token);
    CHECK(refused.status() == 401);
    CHECK(refused.error().message.find("expired") != std::string::npos);
  }
  SECTION("revoked") {
    CHECK(plane.admin().call("POST", "/v1/tokens/" + token.substr(0, 12) + ":revoke").as<v1::Token>().revoked());
    CHECK(device.try_join(token).error().message.find("revoked") != std::string::npos);
  }
  SECTION("another secret") { CHECK(device.try_join(token.substr(0, token.size() - 1) + "!").status() == 401); }
  SECTION("an id that is not known") { CHECK(device.try_join("aaaaaaaaaaaa." + token.substr(13)).status() == 401); }
  SECTION("no form at all") { CHECK(device.try_join("x").status() == 401); }
  CHECK(plane.running->nodes() == 0);
}

TEST_CASE("the secret of a token is not on disk") {
  ControlPlane plane;
  const std::string token = plane.token();
  plane.stop();
  for (const auto& file : std::filesystem::recursive_directory_iterator(plane.folder.path)) {
    if (!file.is_regular_file()) continue;
    CHECK(must(read_file(file.path(), 64U << 20U)).find(token.substr(13)) == std::string::npos);
  }
}

TEST_CASE("a nonce is good for one request and for its time") {
  ControlPlane plane([](registry::Options& options) { options.nonce_lifetime = 300ms; });
  const std::string token = plane.token();
  Device device(plane);
  SECTION("used twice") {
    const v1::JoinRequest request = device.join_request(token);
    CHECK(plane.caller().call("POST", "/v1/join", &request).status() == 200);
    const Reply refused = plane.caller().call("POST", "/v1/join", &request);
    CHECK(refused.status() == 401);
    CHECK(refused.error().field == "nonce");
  }
  SECTION("too late") {
    const v1::JoinRequest request = device.join_request(token);
    std::this_thread::sleep_for(350ms);
    CHECK(plane.caller().call("POST", "/v1/join", &request).error().field == "nonce");
  }
  SECTION("made up") {
    v1::JoinRequest request = device.join_request(token);
    request.set_nonce(std::string(32, 'n'));
    request.set_signature(device.sign("join", request.nonce(), request.csr_der()));
    CHECK(plane.caller().call("POST", "/v1/join", &request).error().field == "nonce");
  }
}

TEST_CASE("the signature must be by the key, for this purpose, over this nonce and request") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device device(plane), other(plane);
  v1::JoinRequest request = device.join_request(token);
  SECTION("another purpose") { request.set_signature(device.sign("renew", request.nonce(), request.csr_der())); }
  SECTION("another key") { request.set_signature(other.sign("join", request.nonce(), request.csr_der())); }
  SECTION("another nonce") { request.set_signature(device.sign("join", device.nonce(), request.csr_der())); }
  SECTION("another certificate request") { request.set_csr_der(must(io::make_csr(other.key, other.id))); }
  SECTION("no signature") { request.clear_signature(); }
  const Reply refused = plane.caller().call("POST", "/v1/join", &request);
  CHECK(refused.status() == 401);
  CHECK(refused.error().field == "signature");
  CHECK(plane.running->nodes() == 0);
}

TEST_CASE("a broken certificate request is refused with its field") {
  ControlPlane plane;
  Device device(plane);
  v1::JoinRequest request = device.join_request(plane.token());
  request.set_csr_der("not DER");
  const Reply refused = plane.caller().call("POST", "/v1/join", &request);
  CHECK(refused.status() == 400);
  CHECK(refused.error().field == "csrDer");
}

TEST_CASE("with a manual token the node waits without a certificate until an operator approves") {
  ControlPlane plane;
  v1::CreateTokenRequest wanted;
  wanted.set_approve(v1::APPROVAL_MODE_MANUAL);
  wanted.set_uses(1);
  const std::string token = plane.token(wanted);
  Device device(plane);
  v1::JoinResponse answer = device.join(token);
  CHECK(answer.state() == v1::NODE_STATE_PENDING);
  CHECK(answer.certificate_der().empty());
  CHECK(answer.poll_seconds() > 0);
  plane.clock.advance(48h);  // waiting takes no second use and outlives the token
  CHECK(device.join(token).state() == v1::NODE_STATE_PENDING);
  CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":approve").as<v1::Node>().state() ==
        v1::NODE_STATE_APPROVED);
  answer = device.join(token);
  CHECK(answer.state() == v1::NODE_STATE_APPROVED);
  CHECK_FALSE(answer.certificate_der().empty());
  CHECK(device.heartbeat().status() == 200);
}

TEST_CASE("a client that trusts another CA does not speak to the registry") {
  ControlPlane plane, other;
  io::ClientTlsOptions tls;
  SECTION("by its certificate") { tls.trusted_cas = other.trusted(); }
  SECTION("by the pin of a token") {
    tls.ca_pin = io::sha256(must(io::parse_certificate(other.trusted().front())).public_key_info);
  }
  tls.judged_at = wall_now();
  Caller caller = plane.caller_by(tls);
  CHECK(caller.try_send(Caller::request("POST", "/v1/nonce")).has_error());
}

TEST_CASE("the pin of a token is the hash of the CA that the registry shows") {
  ControlPlane plane;
  const v1::Token token = plane.admin().call("POST", "/v1/tokens").as<v1::Token>();
  io::ClientTlsOptions tls;
  tls.ca_pin = hex_decode(split(token.secret(), '.').at(3)).value();
  Caller caller = plane.caller_by(tls);
  CHECK(caller.call("POST", "/v1/nonce").status() == 200);
}

TEST_CASE("a certificate of another registry opens nothing") {
  ControlPlane plane, other;
  Device device(other);
  device.join(other.token());
  Caller caller = plane.caller(device.certificate, device.key);
  v1::HeartbeatRequest request;
  CHECK(caller.try_send(Caller::request("POST", "/v1/nodes/" + device.id + "/heartbeat", &request)).has_error());
}

TEST_CASE("renewal gives a new certificate to the node's own key only") {
  ControlPlane plane;
  Device device(plane), other(plane);
  device.join(plane.token());
  const std::string before = device.certificate;
  CHECK(device.renew().status() == 200);
  CHECK(device.certificate != before);
  v1::RenewRequest request;
  other.prove(request, "renew");
  const Reply refused = device.connection().call("POST", "/v1/nodes/" + device.id + "/renew", &request);
  CHECK(refused.status() == 400);
  CHECK(refused.error().field == "csrDer");
}

TEST_CASE("an expired certificate is told to re-join, and re-joins by its key until the window ends") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  plane.clock.advance(25h);
  device.reconnect();
  const Reply expired = device.heartbeat();
  CHECK(expired.status() == 401);
  CHECK(expired.error().hint.find("rejoin") != std::string::npos);
  SECTION("in time") {
    plane.clock.advance(24h * 80);
    plane.restart();  // the server certificate is of this time too
    CHECK(device.rejoin().status() == 200);
    device.reconnect();
    CHECK(device.heartbeat().status() == 200);
  }
  SECTION("too late") {
    plane.clock.advance(24h * 91);
    plane.restart();
    CHECK(device.rejoin().status() == 412);
  }
  SECTION("with another key") {
    Device thief(plane);
    thief.certificate = device.certificate;
    const Reply refused = thief.rejoin();
    CHECK(refused.status() == 401);
    CHECK(refused.error().field == "expiredCertificateDer");
  }
  SECTION("with a certificate that it made itself") {
    io::CertificateRequest forged;
    forged.common_name = device.id;
    forged.organizational_unit = "node";
    forged.public_key_info = device.key.public_key_info();
    forged.not_before = wall_now() - 48h;
    forged.not_after = wall_now();
    forged.is_ca = true;
    device.certificate = must(io::issue_certificate(forged, {}, device.key));
    CHECK(device.rejoin().status() == 401);
  }
  SECTION("not when banned") {
    (void)plane.admin().call("POST", "/v1/nodes/" + device.id + ":ban").as<v1::Node>();
    CHECK(device.rejoin().status() == 403);
  }
  SECTION("not when deleted") {
    (void)plane.admin().call("DELETE", "/v1/nodes/" + device.id).as<v1::Empty>();
    CHECK(device.rejoin().status() == 404);
  }
}

TEST_CASE("a stranger is limited: by rate, by size, before the body is read") {
  ControlPlane plane([](registry::Options& options) {
    options.stranger_rate = 1;
    options.stranger_burst = 3;
  });
  Caller stranger = plane.caller();
  SECTION("rate") {
    for (int i = 0; i < 3; ++i)
      CHECK(stranger.call("POST", "/v1/nonce").status() == 200);
    const Reply refused = stranger.call("POST", "/v1/nonce");
    CHECK(refused.status() == 429);
    CHECK(refused.error().code == Code::resource_exhausted);
    bool found = false;
    for (const auto& [name, value] : refused.http.headers)
      found |= to_lower(name) == "retry-after" && value == "1";
    CHECK(found);
  }
  SECTION("size") {
    v1::JoinRequest request;
    request.set_hostname(std::string(100'000, 'x'));
    CHECK(stranger.call("POST", "/v1/join", &request).status() == 413);
  }
}

TEST_CASE("a node renews whatever the strangers beside it do, by a budget of its own") {
  ControlPlane plane([](registry::Options& options) {
    options.stranger_rate = 0.1;
    options.stranger_burst = 3;
    options.node_rate = 0.1;
    options.node_burst = 4;
  });
  Device device(plane);
  device.join(plane.token());  // two of the address's three requests
  Caller stranger = plane.caller();
  CHECK(stranger.call("POST", "/v1/nonce").status() == 200);
  CHECK(stranger.call("POST", "/v1/nonce").status() == 429);
  const auto renew = [](Device& node) {
    const Reply asked = node.connection().call("POST", "/v1/nonce");
    if (asked.status() != 200) return asked.status();
    v1::RenewRequest request;
    node.prove_by(request, "renew", asked.as<v1::NonceResponse>().nonce());
    return node.connection().call("POST", "/v1/nodes/" + node.id + "/renew", &request).status();
  };
  CHECK(renew(device) == 200);
  CHECK(renew(device) == 200);
  CHECK(renew(device) == 429);
  CHECK(device.heartbeat().status() == 200);
}

TEST_CASE("an idle connection of nobody in particular ends soon, a node's stays for its next heartbeat") {
  ControlPlane plane([](registry::Options& options) { options.stranger_idle = 1s; });
  Device device(plane);
  device.join(plane.token());
  CHECK(device.heartbeat().status() == 200);
  Caller stranger = plane.caller();
  CHECK(stranger.call("POST", "/v1/nonce").status() == 200);
  plane.loop.restart();
  plane.loop.run_for(100ms);                // what the test itself has closed
  CHECK(plane.metric("connections") == 3);  // with the one that asks
  plane.loop.restart();
  plane.loop.run_for(2s);
  CHECK(plane.metric("connections") == 2);
  CHECK(device.heartbeat().status() == 200);
  CHECK(plane.metric("timeouts_total") == 0);  // idle is no fault
}

TEST_CASE("all addresses of an IPv6 /64 share one rate, and its neighbour has another") {
  in_network_namespace([] {
    set_up(1);  // lo
    for (const char* address : {"fd00::1", "fd00::2", "fd00:0:0:1::1"})
      add_address(1, address, 128);
    ControlPlane plane([](registry::Options& options) {
      options.listen = "[::1]:0";
      options.stranger_rate = 0.1;
      options.stranger_burst = 1;
    });
    const auto from = [&plane](const char* address) {
      io::ClientOptions options = plane.client_options(plane.tls_options());
      options.local_address = address;
      return Caller(plane.loop, std::move(options)).call("POST", "/v1/nonce").status();
    };
    CHECK(from("fd00::1") == 200);
    CHECK(from("fd00::2") == 429);
    CHECK(from("fd00:0:0:1::1") == 200);
  });
}

TEST_CASE("a join says which field is wrong") {
  ControlPlane plane;
  Device device(plane);
  v1::JoinRequest request = device.join_request(plane.token());
  std::string field;
  SECTION("boot") { request.set_boot_id(""), field = "bootId"; }
  SECTION("start") { request.set_start_id(std::string(65, 'x')), field = "startId"; }
  SECTION("start with a line feed") { request.set_start_id("a\nb"), field = "startId"; }
  SECTION("name") { request.set_hostname(std::string(300, 'x')), field = "hostname"; }
  SECTION("labels") { (*request.mutable_labels())["not a key"] = "x", field = "labels"; }
  const Reply refused = plane.caller().call("POST", "/v1/join", &request);
  CHECK(refused.status() == 400);
  CHECK(refused.error().field == field);
}
