// Policies over kill -9: what was acknowledged is there, and a version never names two contents.
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "registry_process.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/policies.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr int kRounds = 20, kDocuments = 4;

struct Ledger {
  std::map<std::string, int> acknowledged, sent;  // by document: the port in its text
  std::map<std::uint64_t, std::string> digests;   // by version
  std::map<std::string, std::uint64_t> versions;  // by digest
  std::size_t puts = 0, heartbeats = 0;
};

void note(Ledger& ledger, std::uint64_t version, const std::string& digest) {
  if (version == 0) return;
  REQUIRE(ledger.digests.try_emplace(version, digest).first->second == digest);
  REQUIRE(ledger.versions.try_emplace(digest, version).first->second == version);
}

// Puts the document with the next port again and again until the connection breaks.
asio::awaitable<void> put_until_cut(Plane& plane, io::ClientOptions options, std::string name, Ledger& ledger) {
  io::HttpClient client(plane.loop, std::move(options));
  while (true) {
    const v1::PutPolicyRequest request = text_of(policy(name, ++ledger.sent[name]));
    const auto answer = co_await client.send(Caller::request("PUT", "/v1/policies/" + name, &request));
    if (answer.has_error() || answer->status != 200) co_return;
    ledger.acknowledged[name] = ledger.sent[name];
    ++ledger.puts;
  }
}

// A node beats meanwhile: so contents are numbered at every moment.
asio::awaitable<void> beat_until_cut(Plane& plane, const Device& device, Ledger& ledger) {
  io::HttpClient client(plane.loop, plane.client_options(plane.tls_options(device.certificate, device.key)));
  v1::HeartbeatRequest request;
  request.set_boot_id(device.boot);
  request.set_start_id(device.start);
  request.set_generation(device.generation);
  while (true) {
    const auto answer =
        co_await client.send(Caller::request("POST", "/v1/nodes/" + device.id + "/heartbeat", &request));
    if (answer.has_error() || answer->status != 200) co_return;
    const auto ack = Reply{*answer}.as<v1::NodeAck>();
    note(ledger, ack.desired_version(), ack.desired_sha256());
    ++ledger.heartbeats;
  }
}

// Each document is the last acknowledged one, or the one whose answer the kill has cut off.
void check(Plane& plane, Device& device, Ledger& ledger) {
  for (auto& [name, port] : ledger.acknowledged) {
    const auto document = plane.admin().call("GET", "/v1/policies/" + name).as<v1::PolicyDocument>();
    const bool last = document.text() == policy(name, port);
    const bool in_flight = document.text() == policy(name, ledger.sent[name]);
    INFO(name << " acknowledged " << port << ", sent " << ledger.sent[name] << "\n" << document.text());
    REQUIRE((last || in_flight));
    if (in_flight) port = ledger.sent[name];  // it is on disk: from now on it counts
    REQUIRE(document.sha256() == io::sha256(document.text()));
  }
  device.reconnect();
  const auto ack = device.heartbeat().as<v1::NodeAck>();
  note(ledger, ack.desired_version(), ack.desired_sha256());
  const auto state = fetch(device).as<v1::DesiredState>();
  REQUIRE(state.sha256() == ack.desired_sha256());
  REQUIRE(digest_of(state) == state.sha256());
}

io::ClientOptions operator_options(Plane& plane) {
  const std::string stem = plane.folder.path + "/operator/operator";
  const auto certificates = must(io::certificates_from_pem(must(read_file(stem + ".crt"))));
  return plane.client_options(
      plane.tls_options(certificates.front(), must(io::PrivateKey::from_pem(must(read_file(stem + ".key"))))));
}

}  // namespace

TEST_CASE("no acknowledged policy is lost when the registry is killed, and a version never names two contents") {
  ProcessPlane plane;
  plane.start();
  Device device(plane);
  device.join(plane.token());
  Ledger ledger;
  for (int round = 0; round < kRounds; ++round) {
    int running = kDocuments + 1;
    const auto ended = [&running](std::exception_ptr problem) {
      --running;
      if (problem) std::rethrow_exception(problem);
    };
    for (int i = 0; i < kDocuments; ++i) {
      asio::co_spawn(plane.loop, put_until_cut(plane, operator_options(plane), "document-" + std::to_string(i), ledger),
                     ended);
    }
    asio::co_spawn(plane.loop, beat_until_cut(plane, device, ledger), ended);
    asio::steady_timer timer(plane.loop, 20ms + std::chrono::milliseconds(random_u64() % 180));
    timer.async_wait([&plane](const boost::system::error_code&) { CHECK(plane.end(SIGKILL).status == -SIGKILL); });
    plane.loop.restart();
    while (running > 0 && plane.loop.run_one() != 0) {
    }
    plane.start();
    check(plane, device, ledger);
  }
  WARN(ledger.puts << " puts, " << ledger.heartbeats << " heartbeats, " << ledger.versions.size() << " versions in "
                   << kRounds << " rounds");
  CHECK(ledger.puts > 50);
  CHECK(ledger.versions.size() > 20);
  CHECK(plane.end(SIGTERM).status == 0);
}
