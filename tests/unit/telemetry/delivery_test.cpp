// How far a stream is delivered: live beside history, evictions, and what is not sent twice.
#include "agent/telemetry/delivery.hpp"

#include <random>
#include <set>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

TEST_CASE("an empty stream has nothing to send, and what is appended then is live") {
  Delivery delivery(0, 1);
  CHECK(!delivery.has_live());
  delivery.online();
  CHECK((!delivery.has_live() && !delivery.has_history()));
  delivery.appended(1);
  CHECK((delivery.has_live() && delivery.live_after() == 0));
  delivery.take_live(1);
  CHECK(!delivery.has_live());
  CHECK(!delivery.confirmed());
  delivery.done(1, 1);
  CHECK(delivery.confirmed() == 1);
  CHECK(!delivery.confirmed());
}

TEST_CASE("live records confirmed beside a history are not sent again after the connection") {
  Delivery delivery(10, 21);  // 10 to 20 are there
  delivery.online();
  CHECK((delivery.history_after() == 9 && delivery.live_after() == 20));
  delivery.appended(21);
  delivery.take_live(21);
  delivery.done(21, 21);
  CHECK(!delivery.confirmed());  // 10 to 20 are still there
  delivery.take_history(10);
  delivery.done(10, 10);
  CHECK(delivery.confirmed() == 10);
  delivery.offline();
  delivery.appended(22);
  delivery.online();
  CHECK(delivery.history_after() == 10);
  CHECK(delivery.wants_history(11));
  CHECK(!delivery.wants_history(21));
  CHECK(delivery.wants_history(22));
  delivery.done(11, 20);
  CHECK(delivery.confirmed() == 21);
}

TEST_CASE("what live records had confirmed beside a history is not history for the next process") {
  Delivery before(1, 11);
  before.online();
  CHECK(!before.delivered());
  for (RecordNumber number = 11; number <= 20; ++number) {
    before.appended(number);
    before.take_live(number);
    if (number != 15) before.done(number, number);
  }
  before.take_history(1);
  before.done(1, 1);
  const auto ranges = before.delivered();
  REQUIRE(ranges);
  CHECK((*ranges)[0] == NumberRange{11, 14});
  CHECK((*ranges)[1] == NumberRange{16, 20});
  CHECK((*ranges)[2] == NumberRange{});
  CHECK(!before.delivered());  // no news

  Delivery after(2, 21, *ranges);
  after.online();
  std::vector<RecordNumber> wanted;
  for (RecordNumber number = 1; number <= 21; ++number)
    if (after.wants_history(number)) wanted.push_back(number);
  CHECK(wanted == std::vector<RecordNumber>{2, 3, 4, 5, 6, 7, 8, 9, 10, 15});
  after.done(2, 10);
  CHECK(after.confirmed() == 14);
  after.done(15, 15);
  CHECK(after.confirmed() == 20);
  CHECK((*after.delivered())[0] == NumberRange{});
}

TEST_CASE("of more ranges than can be kept the newest are") {
  Delivery delivery(1, 1001);
  for (RecordNumber number = 2; number <= 200; number += 2)
    delivery.done(number, number);
  const auto ranges = delivery.delivered();
  REQUIRE(ranges);
  CHECK(ranges->back() == NumberRange{200, 200});
  CHECK(ranges->front() == NumberRange{200 - 2 * (kMostDelivered - 1), 200 - 2 * (kMostDelivered - 1)});
}

TEST_CASE("what was evicted before it was sent counts as left") {
  Delivery delivery(1, 101);
  delivery.online();
  delivery.take_history(51);  // the first that the spool still has
  delivery.done(51, 51);
  CHECK(delivery.confirmed() == 51);
  delivery.take_history(0);  // and then none
  CHECK(!delivery.has_history());
  CHECK(delivery.confirmed() == 100);
  delivery.appended(101);
  delivery.appended(102);
  delivery.take_live(102);
  delivery.done(102, 102);
  CHECK(delivery.confirmed() == 102);
}

TEST_CASE("what is sent again is counted, and nothing else") {
  Delivery delivery(1, 11);
  delivery.online();
  delivery.appended(11);
  CHECK(delivery.sent(11, 11) == 0);
  CHECK(delivery.sent(1, 4) == 0);
  delivery.done(1, 2);
  delivery.offline();
  delivery.online();
  CHECK(delivery.sent(3, 6) == 2);
  CHECK(delivery.sent(7, 10) == 0);
  CHECK(delivery.sent(11, 11) == 1);
}

TEST_CASE("whatever comes in whatever order, the prefix is exactly what has left") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Delivery delivery(1, 201);
    delivery.online();
    std::set<RecordNumber> left;
    RecordNumber through = 0;
    for (int step = 0; step < 400; ++step) {
      const RecordNumber first = 1 + random() % 200;
      const RecordNumber last = std::min<RecordNumber>(200, first + random() % 4);
      delivery.done(first, last);
      for (RecordNumber number = first; number <= last; ++number)
        left.insert(number);
      if (const auto told = delivery.confirmed()) through = *told;
      RecordNumber expected = 0;
      while (left.contains(expected + 1))
        ++expected;
      REQUIRE(through == expected);
      for (RecordNumber number = 1; number <= 200; number += 7)
        REQUIRE(delivery.wants_history(number) == !left.contains(number));
    }
  }
}
