#include "agent/daemon/scrape.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
namespace asio = boost::asio;

namespace {

constexpr model::MetricDescriptor kLoad{"node_load1", "", "Load.", model::MetricType::gauge, {}};

struct Collected {
  model::SampleBatch batch;
  std::array<const model::SampleBatch*, 1> batches{&batch};
};

io::HttpRequest request(std::string accept, std::string encoding = {}) {
  io::HttpRequest out;
  out.headers = {{"accept", std::move(accept)}, {"accept-encoding", std::move(encoding)}};
  return out;
}

std::string header(const io::HttpResponse& response, std::string_view name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return {};
}

// All at once, as a hundred scrapers come.
std::vector<io::HttpResponse> answers(io::WorkerPool& pool, const std::vector<io::HttpRequest>& requests,
                                      const std::shared_ptr<Collected>& collected) {
  asio::io_context context;
  Scrape scrape(pool);
  std::vector<io::HttpResponse> out(requests.size());
  const auto ask = [&](std::size_t i) -> asio::awaitable<void> {
    out[i] = co_await scrape.answer(requests[i], collected, collected->batches);
  };
  for (std::size_t i = 0; i < requests.size(); ++i)
    asio::co_spawn(context, ask(i), asio::detached);
  context.run();
  return out;
}

}  // namespace

TEST_CASE("a scrape has the form that was asked for") {
  io::WorkerPool pool({.threads = 2, .stuck = 1, .queued = 256});
  const auto collected = std::make_shared<Collected>();
  collected->batch.add(kLoad, 0.5);
  const auto out =
      answers(pool, {request("*/*"), request("application/openmetrics-text"), request("", "gzip")}, collected);
  CHECK(out[0].content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(*out[0].shared_body == "# HELP node_load1 Load.\n# TYPE node_load1 gauge\nnode_load1 0.5\n");
  CHECK(out[1].content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8");
  CHECK(out[1].shared_body->ends_with("# EOF\n"));
  CHECK(header(out[1], "Content-Encoding").empty());
  CHECK(header(out[2], "Content-Encoding") == "gzip");
  CHECK(out[2].shared_body->starts_with("\x1f\x8b"));
  CHECK(header(out[2], "Vary") == "Accept, Accept-Encoding");
}

TEST_CASE("a hundred scrapers of one collection hold one text") {
  io::WorkerPool pool({.threads = 2, .stuck = 1, .queued = 256});
  const auto collected = std::make_shared<Collected>();
  collected->batch.add(kLoad, 0.5);
  const auto out = answers(pool, std::vector(100, request("")), collected);
  for (const io::HttpResponse& each : out)
    CHECK(each.shared_body.get() == out[0].shared_body.get());
}

TEST_CASE("a scrape is answered although no worker takes it") {
  io::WorkerPool pool({.threads = 1, .stuck = 1, .queued = 0});
  const auto collected = std::make_shared<Collected>();
  collected->batch.add(kLoad, 2);
  const auto out = answers(pool, std::vector(5, request("")), collected);
  for (const io::HttpResponse& each : out)
    CHECK(each.shared_body->ends_with("node_load1 2\n"));
}
