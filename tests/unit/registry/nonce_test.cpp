#include "agent/registry/nonce.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;
using registry::Nonces;

namespace {

const SteadyTime kStart = SteadyTime{} + 1h;

}  // namespace

TEST_CASE("a nonce is good once, until its end, for who issued it") {
  Nonces nonces(60s, 10), other(60s, 10);
  const std::string nonce = nonces.issue(kStart);
  CHECK(nonce.size() == 32);
  CHECK(nonces.issue(kStart) != nonce);
  CHECK(nonces.check(nonce, kStart + 59s).has_value());
  CHECK(nonces.check(nonce, kStart + 60s).has_error());
  CHECK(other.consume(nonce, kStart).has_error());
  for (std::size_t i = 0; i < nonce.size(); ++i) {
    std::string changed = nonce;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK(nonces.consume(changed, kStart).has_error());
  }
  CHECK(nonces.consume(nonce.substr(1), kStart).has_error());
  CHECK(nonces.consume("", kStart).has_error());
  CHECK(nonces.consume(nonce, kStart + 1s).has_value());
  CHECK(nonces.consume(nonce, kStart + 1s).error().field == "nonce");
}

TEST_CASE("asking for nonces fills nothing; used ones are bounded and make room when they end") {
  Nonces nonces(60s, 3);
  for (int i = 0; i < 100'000; ++i)
    (void)nonces.issue(kStart);
  std::vector<std::string> early, late;
  for (int i = 0; i < 2; ++i) {
    early.push_back(nonces.issue(kStart));
    late.push_back(nonces.issue(kStart + 30s));
  }
  // In another order than they end in.
  CHECK(nonces.consume(late[0], kStart + 31s).has_value());
  CHECK(nonces.consume(early[0], kStart + 31s).has_value());
  CHECK(nonces.consume(early[1], kStart + 31s).has_value());
  CHECK(nonces.used() == 3);
  CHECK(nonces.consume(late[1], kStart + 31s).error().code == Code::resource_exhausted);
  CHECK(nonces.consume(late[1], kStart + 60s).has_value());
  CHECK(nonces.used() == 2);
  CHECK(nonces.consume(late[0], kStart + 61s).has_error());
}

TEST_CASE("a stranger's requests take no room for nonces, whatever they are") {
  ControlPlane plane;
  const std::string spent = plane.token(1);
  Device member(plane), stranger(plane);
  member.join(spent);
  const std::uint64_t before = plane.metric("used_nonces");
  CHECK(before == 1);
  CHECK(stranger.try_join("aaaaaaaaaaaa.bbbb").status() == 401);
  CHECK(stranger.try_join(spent).status() == 401);
  stranger.certificate = member.certificate;
  CHECK(stranger.rejoin().status() == 401);
  v1::JoinRequest unsigned_one = member.join_request(spent);
  unsigned_one.clear_signature();
  CHECK(plane.caller().call("POST", "/v1/join", &unsigned_one).status() == 401);
  CHECK(plane.metric("used_nonces") == before);
  CHECK(member.renew().status() == 200);
  CHECK(member.rejoin().status() == 200);
  CHECK(plane.metric("used_nonces") == before + 2);
}

TEST_CASE("renewal and re-join use their nonce up too") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  SECTION("renewal") {
    v1::RenewRequest request;
    device.prove(request, "renew");
    const std::string path = "/v1/nodes/" + device.id + "/renew";
    CHECK(device.connection().call("POST", path, &request).status() == 200);
    CHECK(device.connection().call("POST", path, &request).error().field == "nonce");
  }
  SECTION("re-join") {
    v1::RejoinRequest request;
    device.prove(request, "rejoin");
    request.set_expired_certificate_der(device.certificate);
    request.set_boot_id(device.boot);
    request.set_start_id(device.start);
    CHECK(plane.caller().call("POST", "/v1/rejoin", &request).status() == 200);
    CHECK(plane.caller().call("POST", "/v1/rejoin", &request).error().field == "nonce");
  }
}
