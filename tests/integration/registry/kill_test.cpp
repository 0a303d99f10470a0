// Lossless over kill -9: what the registry acknowledged is there when it comes back, and nothing is there by half.
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "registry_process.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr int kRounds = 24, kWriters = 6;

struct Ledger {
  std::map<std::string, std::uint64_t> generation;  // by node id, the newest acknowledged
  std::size_t joins = 0, puts = 0;
};

std::string facts_of(const std::string& id, std::uint64_t generation) {
  v1::NodeFacts facts;
  facts.mutable_system()->set_hostname(id + "/" + std::to_string(generation));
  facts.mutable_system()->set_kernel_command_line(std::string(4096 + generation % 977, 'x'));
  return facts.SerializeAsString();
}

// One writer: a device joins and states facts without pause, until the connection breaks.
asio::awaitable<void> write_until_cut(Plane& plane, std::string token, Ledger& ledger) {
  while (true) {
    Device device(plane);
    io::HttpClient stranger(plane.loop, plane.client_options(plane.tls_options()));
    const auto nonce = co_await stranger.send(Caller::request("POST", "/v1/nonce"));
    if (nonce.has_error() || nonce->status != 200) co_return;
    const auto join = device.join_request_by(token, Reply{*nonce}.as<v1::NonceResponse>().nonce());
    const auto joined = co_await stranger.send(Caller::request("POST", "/v1/join", &join));
    if (joined.has_error() || joined->status != 200) co_return;
    ledger.generation[device.id] = 0;
    ++ledger.joins;
    const std::string certificate = Reply{*joined}.as<v1::JoinResponse>().certificate_der();
    io::HttpClient own(plane.loop, plane.client_options(plane.tls_options(certificate, device.key)));
    for (device.generation = 1; device.generation <= 20; ++device.generation) {
      const auto put = device.put_request(facts_of(device.id, device.generation));
      const auto answer = co_await own.send(Caller::request("PUT", "/v1/nodes/" + device.id, &put));
      if (answer.has_error() || answer->status != 200) co_return;
      ledger.generation[device.id] = device.generation;
      ++ledger.puts;
    }
  }
}

// Everything acknowledged is there; a generation beyond it came with its own facts.
void check(Plane& plane, const Ledger& ledger) {
  Caller admin = plane.admin();
  for (const auto& [id, generation] : ledger.generation) {
    const v1::Node node = admin.call("GET", "/v1/nodes/" + id).as<v1::Node>();
    REQUIRE(node.generation() >= generation);
    REQUIRE(node.generation() <= generation + 1);
    if (node.generation() == 0) continue;
    const std::string facts = facts_of(id, node.generation());
    REQUIRE(node.facts_sha256() == io::sha256(facts));
    REQUIRE(node.facts().SerializeAsString() == facts);
  }
}

std::size_t count_nodes(Plane& plane) {
  std::size_t out = 0;
  std::string page;
  do {
    const auto list = plane.admin().call("GET", "/v1/nodes?pageSize=500&pageToken=" + page).as<v1::NodeList>();
    out += static_cast<std::size_t>(list.items_size());
    page = list.next_page_token();
  } while (!page.empty());
  return out;
}

}  // namespace

TEST_CASE(
    "nothing acknowledged is lost when the registry is killed at any moment, and a token's uses equal its nodes") {
  ProcessPlane plane;
  plane.start();
  const std::string token = plane.token(1'000'000);
  Ledger ledger;
  for (int round = 0; round < kRounds; ++round) {
    int writing = kWriters;
    for (int i = 0; i < kWriters; ++i) {
      asio::co_spawn(plane.loop, write_until_cut(plane, token, ledger), [&writing](std::exception_ptr) { --writing; });
    }
    asio::steady_timer timer(plane.loop, 20ms + std::chrono::milliseconds(random_u64() % 180));
    timer.async_wait([&plane](const boost::system::error_code&) { CHECK(plane.end(SIGKILL).status == -SIGKILL); });
    plane.loop.restart();
    while (writing > 0 && plane.loop.run_one() != 0) {
    }
    plane.start();
    const auto tokens = plane.admin().call("GET", "/v1/tokens").as<v1::TokenList>();
    REQUIRE(tokens.items(0).used() == count_nodes(plane));
    REQUIRE(tokens.items(0).used() >= ledger.joins);
  }
  check(plane, ledger);
  WARN(ledger.joins << " joins and " << ledger.puts << " statements were acknowledged in " << kRounds << " rounds");
  CHECK(ledger.joins > 50);
  CHECK(ledger.puts > 200);
  CHECK(plane.end(SIGTERM).status == 0);
}
