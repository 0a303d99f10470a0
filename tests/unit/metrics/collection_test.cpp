#include "agent/metrics/collection.hpp"

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using metrics::Collection;
using metrics::CollectionEngine;

namespace {

constexpr model::MetricDescriptor kValue{"test_value", "", "Value.", model::MetricType::gauge, {}};
constexpr std::array<std::string_view, 1> kByName{"name"};
constexpr model::MetricDescriptor kNamed{"test_named", "", "Value.", model::MetricType::gauge, kByName};

// A collector that gives one value, of its name.
model::Collector plain(std::string_view name, bool blocks = false) {
  const auto collect = [name](model::SampleBatch& batch) -> Result<> {
    batch.add(kNamed, 1, {name});
    return {};
  };
  return {name, {}, collect, "", 500ms, blocks};
}

// Holds who asks until it is opened.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    opened_.wait(lock, [this] { return open_; });
    --waiting_;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  int waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  int waiting_ = 0;
};

model::Collector hanging(std::string_view name, const std::shared_ptr<Gate>& gate, bool blocks = true) {
  const auto collect = [name, gate](model::SampleBatch& batch) -> Result<> {
    batch.add(kNamed, 1, {name});
    gate->pass();
    return {};
  };
  return {name, {}, collect, "", 100ms, blocks};
}

struct Seen {
  std::map<std::string, double> success, values;
};

Seen seen(const Collection& collection) {
  Seen out;
  for (const model::SampleBatch* batch : collection.batches()) {
    for (const model::SampleView& row : batch->views()) {
      if (row.descriptor->name == "node_scrape_collector_success") out.success[std::string(row.labels[0])] = row.value;
      if (row.descriptor == &kNamed) out.values[std::string(row.labels[0])] = row.value;
      if (row.descriptor == &kValue) out.values["value"] = row.value;
    }
  }
  return out;
}

struct World {
  asio::io_context context;
  io::WorkerPool pool{{.threads = 2, .stuck = 16, .queued = 256}};  // as the agent has it

  std::shared_ptr<const Collection> collect(CollectionEngine& engine, std::vector<std::string> only = {}) {
    std::shared_ptr<const Collection> out;
    asio::co_spawn(
        context, [&engine, &out, only]() -> asio::awaitable<void> { out = co_await engine.collect(only); },
        asio::detached);
    context.restart();
    context.run_for(10s);
    return out;
  }
};

}  // namespace

TEST_CASE("a collection has the values of every collector, and says of each whether it gave some") {
  World world;
  const auto failing = [](model::SampleBatch& batch) -> Result<> {
    batch.add(kNamed, 1, {"half"});
    return fail(Code::unavailable, "no such device");
  };
  const auto throwing = [](model::SampleBatch&) -> Result<> { throw std::runtime_error("broken"); };
  CollectionEngine engine(world.context.get_executor(), world.pool,
                          {plain("a"),
                           {"failing", {}, failing, "", 500ms},
                           plain("b"),
                           {"throwing", {}, throwing, "", 500ms, true},
                           plain("c", true)},
                          [](model::SampleBatch& batch) { batch.add(kValue, 42); });
  const auto collection = world.collect(engine);
  REQUIRE(collection);
  const Seen got = seen(*collection);
  CHECK(got.values == std::map<std::string, double>{{"a", 1}, {"b", 1}, {"c", 1}, {"value", 42}});
  CHECK(got.success == std::map<std::string, double>{{"a", 1}, {"b", 1}, {"c", 1}, {"failing", 0}, {"throwing", 0}});
}

TEST_CASE("a hundred who ask at once share one collection") {
  World world;
  std::atomic<int> asked{0};
  const auto slow = [&asked](model::SampleBatch& batch) -> Result<> {
    ++asked;
    std::this_thread::sleep_for(50ms);
    batch.add(kNamed, 1, {"slow"});
    return {};
  };
  CollectionEngine engine(world.context.get_executor(), world.pool, {{"slow", {}, slow, "", 500ms}});
  std::vector<std::shared_ptr<const Collection>> all(100);
  for (auto& each : all)
    asio::co_spawn(
        world.context, [&engine, &each]() -> asio::awaitable<void> { each = co_await engine.collect(); },
        asio::detached);
  world.context.run_for(10s);
  CHECK(asked == 1);
  CHECK(engine.collections() == 1);
  for (const auto& each : all) {
    REQUIRE(each);
    CHECK(each == all.front());
  }
  REQUIRE(world.collect(engine));
  CHECK(asked == 2);
}

TEST_CASE("one collector that hangs costs its own values, is asked by one thread only, and comes back") {
  World world;
  const auto gate = std::make_shared<Gate>();
  CollectionEngine engine(world.context.get_executor(), world.pool,
                          {plain("a"), plain("b", true), hanging("dead", gate), plain("c", true), plain("d", true)}, {},
                          {.slice = 100ms, .whole = 3000ms});
  for (int round = 0; round < 4; ++round) {
    CAPTURE(round);
    const auto begin = std::chrono::steady_clock::now();
    const auto collection = world.collect(engine);
    const auto took = std::chrono::steady_clock::now() - begin;
    REQUIRE(collection);
    const Seen got = seen(*collection);
    CHECK(got.values == std::map<std::string, double>{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
    CHECK(got.success.at("dead") == 0);
    CHECK(got.success.at("d") == 1);
    CHECK(gate->waiting() == 1);
    CHECK(took < 2s);
    if (round > 0) CHECK(took < 550ms);  // it is not waited for again
  }
  CHECK(world.pool.stuck() == 1);
  gate->open();
  for (int i = 0; i < 200 && world.pool.stuck() > 0; ++i)
    std::this_thread::sleep_for(5ms);
  const Seen got = seen(*world.collect(engine));
  CHECK(got.success.at("dead") == 1);
  CHECK(got.values.contains("dead"));
}

TEST_CASE("one that was believed never to hang and does costs those who share its memory one collection") {
  World world;
  const auto gate = std::make_shared<Gate>();
  CollectionEngine engine(world.context.get_executor(), world.pool,
                          {plain("a"), hanging("dead", gate, false), plain("b"), plain("c", true)}, {},
                          {.slice = 100ms, .whole = 3000ms});
  const Seen first = seen(*world.collect(engine));
  CHECK(first.success.at("dead") == 0);
  CHECK(first.values.contains("c"));
  CHECK(first.values.contains("b"));
  const Seen second = seen(*world.collect(engine));
  CHECK(second.values.contains("a"));
  CHECK(second.values.contains("b"));
  CHECK(second.success.at("dead") == 0);
  CHECK(gate->waiting() == 1);
  gate->open();
  for (int i = 0; i < 200 && world.pool.stuck() > 0; ++i)
    std::this_thread::sleep_for(5ms);
}

TEST_CASE("many collectors hang at once: the rest still answer, in bounded time") {
  World world;
  const auto gate = std::make_shared<Gate>();
  CollectionEngine engine(world.context.get_executor(), world.pool,
                          {plain("a"), hanging("h1", gate), hanging("h2", gate), hanging("h3", gate),
                           hanging("h4", gate), hanging("h5", gate), hanging("h6", gate), plain("z", true)},
                          {}, {.slice = 50ms, .whole = 2000ms});
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < 3; ++round) {
    const Seen got = seen(*world.collect(engine));
    CHECK(got.success.size() == 8);
    CHECK(got.success.at("h1") == 0);
    CHECK(got.values.contains("a"));
    if (round > 0) CHECK(got.values.contains("z"));
  }
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
  gate->open();
  for (int i = 0; i < 400 && world.pool.stuck() > 0; ++i)
    std::this_thread::sleep_for(5ms);
  CHECK(seen(*world.collect(engine)).values.contains("z"));
}

TEST_CASE("a choice of collectors asks only those") {
  World world;
  CollectionEngine engine(world.context.get_executor(), world.pool, {plain("a"), plain("b"), plain("c", true)});
  const Seen got = seen(*world.collect(engine, {"c", "b", "unknown"}));
  CHECK(got.values == std::map<std::string, double>{{"b", 1}, {"c", 1}});
  CHECK(got.success.size() == 2);
}

TEST_CASE("a collection that somebody still reads is not written over") {
  World world;
  std::atomic<int> round{0};
  const auto counting = [&round](model::SampleBatch& batch) -> Result<> {
    batch.add(kValue, ++round);
    return {};
  };
  CollectionEngine engine(world.context.get_executor(), world.pool, {{"counting", {}, counting, "", 500ms}});
  const auto first = world.collect(engine), second = world.collect(engine);
  CHECK(seen(*first).values.at("value") == 1);
  CHECK(seen(*second).values.at("value") == 2);
}
