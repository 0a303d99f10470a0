// The reflector's decisions, each a step asked for and an answer told.
#include "agent/kubernetes/reflector.hpp"

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;
using Kind = Step::Kind;

constexpr std::string_view kInitial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

Head head(std::string version, bool initial_end = false) {
  return {.name = {"default", "a"}, .resource_version = std::move(version), .initial_events_end = initial_end};
}
Fault fault(unsigned status, std::string reason = {}, std::optional<std::chrono::seconds> retry_after = {}) {
  return {
      .status = status, .reason = std::move(reason), .error = fail(Code::internal, "no"), .retry_after = retry_after};
}
bool has(const Step& step, std::string_view part) { return step.query.find(part) != std::string::npos; }
// The first step that is no wait, with the waits before it summed up.
Step after_waits(Reflector& reflector, std::chrono::milliseconds* waited = nullptr) {
  Step step = reflector.next(0);
  for (; step.kind == Kind::wait; step = reflector.next(0))
    if (waited != nullptr) *waited += step.time;
  return step;
}
Reflector watching(const std::string& version = "10") {
  Reflector out({});
  CHECK(out.next(0).kind == Kind::stream);
  CHECK(out.event(Change::bookmark, head(version, true)) == Effect::whole);
  out.stream_ended(10min);
  return out;
}
// It asks again after nine requests that nobody answered.
Reflector long_without_server() {
  Reflector out = watching();
  for (int i = 0; i < 9; ++i) {
    (void)after_waits(out);
    out.refused(fault(0), false);
  }
  (void)after_waits(out);
  return out;
}

}  // namespace

TEST_CASE("the first state comes by a stream that says when it was all, and the watch goes on in it") {
  Reflector reflector({});
  const Step step = reflector.next(7);
  CHECK(step.kind == Kind::stream);
  CHECK(step.begins);
  CHECK(has(step, kInitial));
  CHECK(has(step, "allowWatchBookmarks=true"));
  CHECK(has(step, "resourceVersion=&"));
  CHECK(reflector.event(Change::added, head("4")) == Effect::put);
  CHECK(reflector.event(Change::added, head("9")) == Effect::put);
  CHECK(reflector.event(Change::bookmark, head("9")) == Effect::none);  // not the one that ends it
  CHECK_FALSE(reflector.has_state());
  CHECK(reflector.event(Change::bookmark, head("10", true)) == Effect::whole);
  CHECK(reflector.resource_version() == "10");
  CHECK(reflector.event(Change::deleted, head("11")) == Effect::remove);
  CHECK(reflector.event(Change::bookmark, head("20")) == Effect::none);
  CHECK(reflector.event(Change::unknown, head("99")) == Effect::none);
  reflector.stream_ended(5min);
  const Step next = reflector.next(7);
  CHECK(next.kind == Kind::stream);
  CHECK_FALSE(next.begins);
  CHECK_FALSE(has(next, "sendInitialEvents"));
  CHECK(has(next, "resourceVersion=20"));
}

TEST_CASE("watches end at times that differ, and are waited for beyond their own end") {
  Reflector reflector({});
  CHECK(has(reflector.next(0), "timeoutSeconds=300&"));
  CHECK(has(reflector.next(300), "timeoutSeconds=600&"));
  CHECK(reflector.next(300).time == 630s);
}

TEST_CASE("a state that broke off begins anew, and what came of it is no state to go on from") {
  Reflector reflector({});
  (void)reflector.next(0);
  (void)reflector.event(Change::added, head("4"));
  reflector.refused(fault(0), false);
  CHECK(reflector.next(0).kind == Kind::wait);
  const Step step = reflector.next(0);
  CHECK(step.begins);
  CHECK(has(step, "resourceVersion=&"));
}

TEST_CASE("a server without WatchList is asked for pages, at once and from then on") {
  for (const bool in_stream : {true, false})
    for (const unsigned status : {400U, 405U, 406U, 422U, 500U}) {
      if (status == 500 && !in_stream) continue;  // a fault of the moment
      Reflector reflector({});
      (void)reflector.next(0);
      reflector.refused(fault(status, "Invalid"), in_stream);
      Step step = reflector.next(0);
      CHECK(step.kind == Kind::page);
      CHECK(step.begins);
      CHECK(step.query == "resourceVersion=0&limit=500");
      CHECK(reflector.lists());
      CHECK(reflector.page("30", "to ken") == Effect::none);
      step = reflector.next(0);
      CHECK(step.query == "limit=500&continue=to%20ken");
      CHECK_FALSE(step.begins);
      CHECK(reflector.page("30", "") == Effect::whole);
      CHECK(has(reflector.next(0), "resourceVersion=30"));
      CHECK(reflector.event(Change::error, head("")) == Effect::none);
      reflector.refused(fault(410), true);
      CHECK(after_waits(reflector).query == "resourceVersion=&limit=500");  // and not out of a cache
    }
}

TEST_CASE("what is no word on WatchList does not turn it off") {
  for (const unsigned status : {0U, 401U, 403U, 404U, 408U, 410U, 429U, 503U, 504U}) {
    Reflector reflector({});
    (void)reflector.next(0);
    reflector.refused(fault(status), status == 410);
    CHECK(after_waits(reflector).kind == Kind::stream);
    CHECK_FALSE(reflector.lists());
  }
  Reflector reflector = watching();
  (void)reflector.next(0);
  reflector.refused(fault(422), true);  // there is a state already
  CHECK_FALSE(reflector.lists());
}

TEST_CASE("a server that never says that it was all is asked for pages after the second time") {
  Reflector reflector({});
  for (int i = 0; i < 2; ++i) {
    CHECK(after_waits(reflector).kind == Kind::stream);
    (void)reflector.event(Change::added, head("4"));
    reflector.stream_ended(5min);
  }
  CHECK(after_waits(reflector).kind == Kind::page);
}

TEST_CASE("a version that is too old, or of a future that never was, is given up; a whole state is asked for") {
  for (Fault each : {fault(410, "Expired"), fault(410, "Gone"), fault(0, "Expired"), fault(504, "Timeout")}) {
    if (each.status == 504) each.error.message = "the API server answered 504: Timeout: Too large resource version: 9";
    Reflector reflector = watching();
    (void)reflector.next(0);
    reflector.refused(each, true);
    CHECK(reflector.next(0).kind == Kind::wait);  // all nodes find it out at the same time
    const Step step = reflector.next(0);
    CHECK(step.begins);
    CHECK(has(step, kInitial));
  }
  Reflector reflector = watching();
  (void)reflector.next(0);
  reflector.refused(fault(504, "Timeout"), true);
  CHECK(has(after_waits(reflector), "resourceVersion=10"));
}

TEST_CASE("a list whose token has expired begins anew, and at last comes in one piece") {
  Reflector reflector({});
  (void)reflector.next(0);
  reflector.refused(fault(422), false);
  (void)reflector.next(0);
  (void)reflector.page("30", "token");
  reflector.refused(fault(500), false);  // of one page: that one is asked for again
  CHECK(has(after_waits(reflector), "continue=token"));
  for (int i = 0; i < 2; ++i) {
    reflector.refused(fault(410, "Expired"), false);
    const Step step = after_waits(reflector);
    CHECK(step.begins);
    CHECK(has(step, "limit") == (i == 0));
    (void)reflector.page("31", "token");
  }
  (void)reflector.page("40", "");
  reflector.refused(fault(410), false);
  CHECK(has(after_waits(reflector), "limit=500"));
}

TEST_CASE("failures wait longer and longer up to a bound, spread over all of it, and what comes ends that") {
  Reflector reflector({.first_wait = 800ms, .longest_wait = 30s});
  std::chrono::milliseconds longest = 400ms;
  for (int i = 0; i < 10; ++i) {
    (void)after_waits(reflector);
    reflector.refused(fault(500), false);
    longest = std::min<std::chrono::milliseconds>(longest * 2, 30s);
    const std::uint64_t random = static_cast<std::uint64_t>(longest.count());  // the most that this wait can be
    CHECK(reflector.next(random).time == longest);
  }
  (void)reflector.next(0);
  (void)reflector.event(Change::bookmark, head("10", true));
  reflector.refused(fault(0), false);
  CHECK(reflector.next(800).time == 800ms);
}

TEST_CASE("Retry-After is the least that is waited") {
  Reflector reflector = watching();
  (void)reflector.next(0);
  reflector.refused(fault(429, "TooManyRequests", 7s), false);
  CHECK(reflector.next(0).time == 7s);
  (void)reflector.next(0);
  reflector.refused(fault(429, "TooManyRequests", 7s), false);
  CHECK(reflector.next(1600).time == 8600ms);
}

TEST_CASE("a time that a server names is not waited for longer since there was no server before") {
  Reflector reflector = long_without_server();
  reflector.refused(fault(503, "ServiceUnavailable", 5s), false);
  CHECK(reflector.next(800).time == 5800ms);
  (void)reflector.next(0);
  reflector.refused(fault(503, "ServiceUnavailable", 5s), false);
  CHECK(reflector.next(1600).time == 6600ms);
}

TEST_CASE("after a server's return its refusals are waited for from the least on") {
  Reflector reflector({.first_wait = 800ms, .longest_wait = 30'000ms});
  for (int i = 0; i < 9; ++i) {
    reflector.refused(fault(0), false);
    (void)after_waits(reflector);
  }
  CHECK_FALSE(reflector.returned());  // it asks
  reflector.refused(fault(404), false);
  CHECK(reflector.next(800).time == 800ms);
  CHECK(reflector.next(0).kind == Kind::stream);
}

TEST_CASE("a version that is too old does not wait as long as the server was away, and each further one waits longer") {
  Reflector reflector = long_without_server();
  reflector.refused(fault(410, "Expired"), true);
  CHECK(reflector.next(800).time == 800ms);
  (void)reflector.next(0);
  reflector.refused(fault(410, "Expired"), true);
  CHECK(reflector.next(1600).time == 1600ms);
}

TEST_CASE("a server that ends watches at once is not asked without end") {
  Reflector reflector = watching();
  (void)reflector.next(0);
  reflector.stream_ended(5ms);
  CHECK(reflector.next(0).kind == Kind::wait);
  (void)reflector.next(0);
  (void)reflector.event(Change::modified, head("12"));
  reflector.stream_ended(5ms);
  CHECK(reflector.next(0).kind == Kind::stream);
}

TEST_CASE("a version that was kept is gone on from") {
  Reflector reflector({}, "1234");
  const Step step = reflector.next(0);
  CHECK_FALSE(step.begins);
  CHECK(has(step, "resourceVersion=1234"));
  reflector.refused(fault(410), true);
  CHECK(after_waits(reflector).begins);
}

}  // namespace omnitide::kubernetes
