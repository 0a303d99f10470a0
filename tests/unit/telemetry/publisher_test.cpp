// The publisher with a broker that tests play: nothing that was taken is lost, and what a broker does wrong costs no
// more than it must.
#include <map>
#include <set>

#include "tests/harness/catch.hpp"
#include "tests/harness/memory.hpp"
#include "tests/harness/peer.hpp"
#include "tests/harness/publisher_node.hpp"
#include "tests/harness/scripted_broker.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kMetrics = static_cast<std::size_t>(Stream::metrics);

std::vector<int> numbers(const SeenByBroker& seen, const std::string& topic) {
  std::vector<int> out;
  for (const SeenPublish& one : seen.publishes) {
    if (one.topic == topic) out.push_back(std::stoi(one.payload));
  }
  return out;
}

std::vector<int> counting(int first, int last) {
  std::vector<int> out;
  for (int i = first; i <= last; ++i)
    out.push_back(i);
  return out;
}

std::set<int> as_set(const std::vector<int>& list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("in good weather each record arrives once, in order, and leaves the spool") {
  const TempTree tree;
  const ScriptedBroker broker;
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  REQUIRE(node.connected());
  for (int i = 1; i <= 500; ++i) {
    node.give(Stream::metrics, i, i);
    if (i % 10 == 0) node.give(Stream::events, i, i);
    if (i % 50 == 0) loop.run_for(2ms);
  }
  REQUIRE(node.empties());
  CHECK(numbers(broker.seen(), "t/metrics") == counting(1, 500));
  CHECK(numbers(broker.seen(), "t/events").size() == 50);
  const PublisherStatus status = node.publisher->status();
  CHECK(status.published[kMetrics] == 500);
  CHECK(status.confirmed[kMetrics] == 500);
  CHECK((status.republished[kMetrics] == 0 && status.historical[kMetrics] == 0));
  CHECK(status.connects == 1);
}

TEST_CASE("what the broker confirmed is written at once, also when no record comes any more") {
  const TempTree tree;
  const ScriptedBroker broker;
  Loop loop;
  PublisherOptions options = publisher_options(tree, {broker.port()});
  options.sync_interval = 1h;
  PublisherNode node(loop, std::move(options));
  REQUIRE(node.connected());
  node.give(Stream::metrics, 1, 50);
  REQUIRE(node.empties());
  const std::string spool = tree.path() + "/telemetry/spool", killed = tree.path() + "/killed";
  CHECK(loop.until([&] {
    std::filesystem::remove_all(killed);
    std::filesystem::copy(spool, killed);
    return Spool::inspect(killed).value().streams[kMetrics].records == 0;
  }));
}

TEST_CASE("without a broker records wait, over a restart too, and then arrive oldest first as history") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  {
    PublisherNode node(loop, publisher_options(tree, {port}));
    node.give(Stream::metrics, 1, 300);
    loop.run_for(100ms);
    CHECK(node.publisher->status().problem.find("refused") != std::string::npos);
    CHECK(node.backlog() == 300);
    node.stop();
    CHECK(node.publisher->status().link == PublisherStatus::Link::stopped);
  }
  const ScriptedBroker broker({}, port);
  PublisherNode node(loop, publisher_options(tree, {port}));
  node.give(Stream::metrics, 301, 400);
  REQUIRE(node.empties());
  CHECK(numbers(broker.seen(), "t/metrics") == counting(1, 400));
  CHECK(node.publisher->status().historical[kMetrics] >= 300);
}

TEST_CASE("a broker that is reset again and again loses nothing, and duplicates are counted") {
  const TempTree tree;
  BrokerRules rules;
  rules.reset_after_publishes = 61;
  ScriptedBroker broker(rules);
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  for (int i = 1; i <= 2'000; ++i) {
    node.give(Stream::metrics, i, i);
    if (i % 40 == 0) loop.run_for(2ms);
  }
  (void)loop.until([&broker] { return broker.seen().connects.size() > 10; });
  broker.change([](BrokerRules& now) { now.reset_after_publishes = 0; });
  REQUIRE(node.empties());
  const std::vector<int> came = numbers(broker.seen(), "t/metrics");
  CHECK(as_set(came).size() == 2'000);
  const PublisherStatus status = node.publisher->status();
  CHECK(status.connects > 10);
  CHECK(status.confirmed[kMetrics] == 2'000);
  CHECK(came.size() - 2'000 <= status.republished[kMetrics]);  // some were sent and did not arrive
  CHECK(status.published[kMetrics] == 2'000 + status.republished[kMetrics]);
}

TEST_CASE("within history and within live data the order of a stream is kept") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  PublisherOptions options = publisher_options(tree, {port});
  options.drain_records_per_second = 400;
  PublisherNode node(loop, options);
  node.give(Stream::metrics, 1, 400);
  loop.run_for(50ms);
  const ScriptedBroker broker({}, port);
  REQUIRE(node.connected());
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 1'001; i <= 1'050; ++i) {
    node.give(Stream::metrics, i, i);
    loop.run_for(10ms);
  }
  const auto live_ended = std::chrono::steady_clock::now();
  REQUIRE(node.empties());
  CHECK(std::chrono::steady_clock::now() - begin > 800ms);  // 400 records at 400 a second, less the first tenth
  std::vector<int> history, live;
  for (const SeenPublish& one : broker.seen().publishes) {
    const int number = std::stoi(one.payload);
    (number <= 400 ? history : live).push_back(number);
    if (number > 400) CHECK(one.at < live_ended + 50ms);  // beside history, not behind it
  }
  CHECK(history == counting(1, 400));
  CHECK(live == counting(1'001, 1'050));
}

TEST_CASE("live data that was confirmed beside a history is not sent again when the connection ends first") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  PublisherOptions options = publisher_options(tree, {port});
  options.drain_records_per_second = 40;
  PublisherNode node(loop, options);
  node.give(Stream::metrics, 1, 30);
  loop.run_for(50ms);
  ScriptedBroker broker({}, port);
  REQUIRE(node.connected());
  node.give(Stream::metrics, 31, 60);  // less than is read ahead at once
  REQUIRE(broker.wait([](const SeenByBroker& seen) { return as_set(numbers(seen, "t/metrics")).contains(60); }));
  loop.run_for(100ms);
  broker.cut();
  REQUIRE(node.empties());
  std::map<int, int> times;
  for (const int number : numbers(broker.seen(), "t/metrics"))
    ++times[number];
  CHECK(times.size() == 60);
  for (int i = 31; i <= 60; ++i)
    CHECK(times[i] == 1);
}

TEST_CASE("a lost PUBACK means that the record is sent again") {
  const TempTree tree;
  std::atomic<int> lost{0};
  BrokerRules rules;
  rules.puback = [&lost](const SeenPublish& seen) { return seen.payload == "7" && lost++ == 0 ? -1 : 0; };
  const ScriptedBroker broker(rules);
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  REQUIRE(node.connected());
  node.give(Stream::metrics, 1, 10);
  REQUIRE(node.empties());
  std::map<int, int> times;
  for (const int number : numbers(broker.seen(), "t/metrics"))
    ++times[number];
  CHECK(times[7] == 2);
  for (const int other : {1, 6, 8, 10})
    CHECK(times[other] == 1);
  CHECK(node.publisher->status().republished[kMetrics] == 1);
}

TEST_CASE("a refusal for now keeps the record, a refusal for good drops and counts it") {
  const TempTree tree;
  std::atomic<int> quota{0};
  BrokerRules rules;
  rules.puback = [&quota](const SeenPublish& seen) {
    if (seen.topic == "t/events") return 0;
    if (seen.payload == "3") return 0x99;                 // payload format invalid
    if (seen.payload == "5" && quota++ < 2) return 0x97;  // quota exceeded
    return 0;
  };
  const ScriptedBroker broker(rules);
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  REQUIRE(node.connected());
  node.give(Stream::metrics, 1, 10);
  node.give(Stream::events, 1, 10);
  REQUIRE(node.empties());
  CHECK(quota == 3);
  CHECK(as_set(numbers(broker.seen(), "t/metrics")) == as_set(counting(1, 10)));
  CHECK(numbers(broker.seen(), "t/events") == counting(1, 10));
  const PublisherStatus status = node.publisher->status();
  CHECK(status.connects == 1);
  CHECK(status.backing_off >= 2);
  CHECK(status.confirmed[kMetrics] == 9);
  CHECK(status.spool.streams[kMetrics].dropped[static_cast<std::size_t>(DropCause::refused)] == 1);
}

TEST_CASE("a record larger than the broker takes is dropped as refused, and the others go on") {
  const TempTree tree;
  BrokerRules rules;
  rules.connack_properties = std::string("\x27", 1) + wire::u32(1'000);  // maximum packet size
  const ScriptedBroker broker(rules);
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  REQUIRE(node.connected());
  node.give(Stream::metrics, 1, 3);
  REQUIRE(node.publisher->record(Stream::metrics, wall_now(), std::string(5'000, 'x')));
  node.give(Stream::metrics, 4, 6);
  REQUIRE(node.empties());
  CHECK(numbers(broker.seen(), "t/metrics") == counting(1, 6));
  CHECK(node.publisher->status().spool.streams[kMetrics].dropped[static_cast<std::size_t>(DropCause::refused)] == 1);
}

TEST_CASE("the next broker of the list takes over, and a refused one is told") {
  const TempTree tree;
  BrokerRules refusing;
  refusing.connack = 0x87;
  ScriptedBroker first(refusing), second;
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {first.port(), second.port()}));
  REQUIRE(node.connected());
  CHECK(node.publisher->status().broker == "127.0.0.1:" + std::to_string(second.port()));
  node.give(Stream::events, 1, 20);
  REQUIRE(node.empties());
  first.change([](BrokerRules& now) { now.connack = 0; });
  loop.run_for(300ms);  // more than ten of the shortest waits: a good connection, so the first one is asked again
  second.cut();
  REQUIRE(loop.until([&node, &first] {
    return node.publisher->status().broker == "127.0.0.1:" + std::to_string(first.port()) &&
           node.publisher->status().link == PublisherStatus::Link::connected;
  }));
  node.give(Stream::events, 21, 30);
  REQUIRE(node.empties());
  CHECK(numbers(first.seen(), "t/events") == counting(21, 30));
  CHECK(numbers(second.seen(), "t/events") == counting(1, 20));
}

TEST_CASE("attempts are spread at random below a bound that doubles") {
  const TempTree tree;
  BrokerRules rules;
  rules.connack = 0x89;
  const ScriptedBroker broker(rules);
  Loop loop;
  PublisherOptions options = publisher_options(tree, {broker.port()});
  options.backoff_base = 20ms;
  options.backoff_cap = 10s;
  const PublisherNode node(loop, options);
  loop.run_for(1'500ms);
  const std::size_t tries = broker.seen().connects.size();
  CHECK(tries >= 2);
  CHECK(tries < 20);  // without a growing bound there were hundreds
}

TEST_CASE("the status topic is told by will and at a stop, and a stop keeps what is not confirmed") {
  const TempTree tree;
  BrokerRules rules;
  rules.puback = [](const SeenPublish& seen) { return seen.topic == "t/metrics" ? -1 : 0; };
  const ScriptedBroker broker(rules);
  Loop loop;
  PublisherOptions options = publisher_options(tree, {broker.port()});
  options.plain.status_topic = "t/status";
  options.brokers[0].answer_timeout = 1min;
  {
    PublisherNode node(loop, options);
    REQUIRE(node.connected());
    node.give(Stream::metrics, 1, 5);
    REQUIRE(broker.wait([](const SeenByBroker& seen) { return seen.publish_count == 6; }));
    loop.run(node.publisher->stop(500ms));
    CHECK(node.publisher->status().spool.streams[kMetrics].records == 5);
  }
  const SeenByBroker seen = broker.seen();
  const SeenConnect& connect = seen.connects.at(0);
  CHECK((connect.will_topic == "t/status" && connect.will_payload == "offline" && connect.will_retain));
  CHECK((seen.publishes.front().topic == "t/status" && seen.publishes.front().payload == "online"));
  CHECK((seen.publishes.front().retain && seen.publishes.front().qos == 1));
  CHECK((seen.publishes.back().topic == "t/status" && seen.publishes.back().payload == "offline"));
  PublisherNode again(loop, options);  // the folder is free
  CHECK(again.backlog() == 5);
}

TEST_CASE("a stream without a topic is not kept") {
  const TempTree tree;
  const ScriptedBroker broker;
  Loop loop;
  PublisherOptions options = publisher_options(tree, {broker.port()});
  options.plain.topics[static_cast<std::size_t>(Stream::flows)].clear();
  PublisherNode node(loop, options);
  CHECK(node.publisher->record(Stream::flows, wall_now(), "x").error().code == Code::failed_precondition);
  CHECK(node.backlog() == 0);
}

TEST_CASE("weeks of backlog are drained in bounded memory") {
  const TempTree tree;
  const std::uint16_t port = free_port();
  Loop loop;
  PublisherOptions options = publisher_options(tree, {port});
  options.spool.bytes = std::uint64_t{256} << 20U;
  PublisherNode node(loop, options);
  constexpr int kRecords = 200'000;
  const std::string tail(200, 'x');
  for (int i = 1; i <= kRecords; ++i) {
    REQUIRE(node.publisher->record(Stream::metrics, wall_now(), std::to_string(i) + " " + tail));
    if (i % 500 == 0) loop.run_for(2ms);
  }
  const std::size_t before = resident_kilobytes();
  BrokerRules rules;
  rules.keep_publishes = false;
  const ScriptedBroker broker(rules, port);
  std::size_t most = before;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(loop.until(
      [&node, &most] {
        most = std::max(most, resident_kilobytes());
        return node.backlog() == 0;
      },
      120s));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  INFO("drained " << kRecords / took.count() << " records/s, grew by " << most - before << " kB");
  CHECK(broker.seen().publish_count == kRecords);
  if (!kKeepsFreedMemory) CHECK(most - before < 4'096);
}

TEST_CASE("the publisher may go at any time") {
  const TempTree tree;
  ScriptedBroker broker;
  Loop loop;
  for (const auto after : {0ms, 1ms, 3ms, 10ms, 30ms}) {
    std::unique_ptr<Publisher> publisher;
    const auto starts = [&] {  // what was under way of the one before notices, and gives the folder free
      publisher = std::make_unique<Publisher>(loop.context, loop.pool, publisher_options(tree, {broker.port()}),
                                              Publisher::Handlers{});
      return publisher->start().has_value();
    };
    REQUIRE(loop.until(starts, 20s));
    (void)publisher->record(Stream::events, wall_now(), "1");
    loop.run_for(after);
    publisher.reset();
  }
  SUCCEED();
}
