// Events: what becomes one series, what is held back, and what is sent again.
#include "agent/kubernetes/event_recorder.hpp"

#include <boost/json.hpp>

#include "tests/harness/catch.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;
using Outcome = EventRecorder::Outcome;

constexpr SteadyTime kStart{std::chrono::hours(100)};
constexpr WallTime kWall{std::chrono::milliseconds(1'600'000'000'250)};

EventNote oom(std::string source = "kernel-log") {
  EventNote out;
  out.about = {.api = "v1", .kind = "Node", .space = {}, .name = "node-1", .uid = "node-1"};
  out.source = std::move(source);
  out.warning = true;
  out.reason = "OOMKilling";
  out.action = "Observed";
  out.note = "Killed process 1, a";
  out.time = kWall;
  return out;
}

boost::json::object body_of(const EventRecorder::Write& write) { return boost::json::parse(write.body).as_object(); }

}  // namespace

TEST_CASE("an event is made in the namespace default, with all that events.k8s.io asks for") {
  EventRecorder recorder("omnitide.io/agent", "node-1");
  recorder.record(oom(), kStart);
  const auto write = recorder.next(kStart);
  REQUIRE(write);
  CHECK(write->method == "POST");
  CHECK(write->path == "/apis/events.k8s.io/v1/namespaces/default/events");
  boost::json::object body = body_of(*write);
  CHECK(std::string_view(body.at("metadata").at("name").as_string()).starts_with("node-1."));
  body.erase("metadata");
  const boost::json::value expected = boost::json::parse(R"({"apiVersion":"events.k8s.io/v1","kind":"Event",
    "eventTime":"2020-09-13T12:26:40.250000Z","reportingController":"omnitide.io/agent","reportingInstance":"node-1",
    "type":"Warning","reason":"OOMKilling","action":"Observed","note":"Killed process 1, a",
    "regarding":{"apiVersion":"v1","kind":"Node","name":"node-1","uid":"node-1"}})");
  CHECK(boost::json::value(body) == expected);
  recorder.done(*write, Outcome::sent, kStart);
  CHECK_FALSE(recorder.next(kStart + 1h));
  CHECK(recorder.counts().sent == 1);
}

TEST_CASE("alike events are one object: the second is told at once, later ones once a minute") {
  EventRecorder recorder("c", "i");
  recorder.record(oom(), kStart);
  const auto first = recorder.next(kStart);
  recorder.done(*first, Outcome::sent, kStart);
  EventNote again = oom();
  again.note = "Killed process 2, b";
  again.time += 5s;
  again.times = 3;
  recorder.record(again, kStart + 5s);
  const auto second = recorder.next(kStart + 5s);
  REQUIRE(second);
  CHECK(second->method == "PATCH");
  CHECK(second->content_type == "application/merge-patch+json");
  CHECK(second->path == first->path + "/" + std::string(body_of(*first).at("metadata").at("name").as_string()));
  CHECK(second->body == R"({"series":{"count":4,"lastObservedTime":"2020-09-13T12:26:45.250000Z"}})");
  recorder.done(*second, Outcome::sent, kStart + 5s);
  recorder.record(oom(), kStart + 6s);
  recorder.record(oom(), kStart + 7s);
  CHECK_FALSE(recorder.next(kStart + 64s));
  CHECK(recorder.due() == kStart + 65s);
  const auto third = recorder.next(kStart + 65s);
  REQUIRE(third);
  CHECK(third->count == 6);
}

TEST_CASE("what came before the first could be sent is in it") {
  EventRecorder recorder("c", "i");
  recorder.record(oom(), kStart);
  recorder.record(oom(), kStart + 1s);
  const auto write = recorder.next(kStart + 2s);
  CHECK(write->method == "POST");
  CHECK(body_of(*write).at("series").at("count") == 2);
  recorder.record(oom(), kStart + 3s);  // while it is under way
  recorder.done(*write, Outcome::sent, kStart + 4s);
  const auto rest = recorder.next(kStart + 4s);
  REQUIRE(rest);
  CHECK(rest->method == "PATCH");
  CHECK(rest->count == 3);
}

TEST_CASE("after six minutes of silence it is an event of its own again") {
  EventRecorder recorder("c", "i");
  recorder.record(oom(), kStart);
  recorder.done(*recorder.next(kStart), Outcome::sent, kStart);
  recorder.record(oom(), kStart + 6min);
  CHECK(recorder.next(kStart + 6min)->method == "POST");
}

TEST_CASE("a series whose object is gone goes on with a new one, for what was not told") {
  EventRecorder recorder("c", "i");
  recorder.record(oom(), kStart);
  recorder.done(*recorder.next(kStart), Outcome::sent, kStart);
  recorder.record(oom(), kStart + 1s);
  recorder.record(oom(), kStart + 2s);
  const auto patch = recorder.next(kStart + 3s);
  recorder.done(*patch, Outcome::gone, kStart + 3s);
  const auto anew = recorder.next(kStart + 3s);
  REQUIRE(anew);
  CHECK(anew->method == "POST");
  CHECK(anew->count == 2);
}

TEST_CASE("what failed is sent again, what was refused is not") {
  EventRecorder recorder("c", "i");
  recorder.record(oom(), kStart);
  recorder.done(*recorder.next(kStart), Outcome::failed, kStart);
  const auto again = recorder.next(kStart);
  REQUIRE(again);
  recorder.done(*again, Outcome::refused, kStart);
  CHECK_FALSE(recorder.next(kStart + 1h));
  CHECK(recorder.counts().refused == 1);
}

TEST_CASE("a source has so many events and no more, and gets one back in five minutes; others are not held up") {
  EventRecorder recorder("c", "i");
  for (int i = 0; i < 30; ++i) {
    EventNote note = oom();
    note.reason = "Reason" + std::to_string(i);
    recorder.record(note, kStart);
  }
  CHECK(recorder.waiting() == 25);
  CHECK(recorder.counts().dropped == 5);
  recorder.record(oom("docker-monitor"), kStart);
  CHECK(recorder.waiting() == 26);
  EventNote late = oom();
  late.reason = "Late";
  recorder.record(late, kStart + 5min);
  CHECK(recorder.waiting() == 27);
}

TEST_CASE("repetitions take nothing from a source's allowance") {
  EventRecorder recorder("c", "i");
  for (int i = 0; i < 1000; ++i)
    recorder.record(oom(), kStart);
  CHECK(recorder.counts().dropped == 0);
  CHECK(recorder.next(kStart)->count == 1000);
}

TEST_CASE("while the server is away no more wait than there is room for; a series that was told gives its room up") {
  EventRecorder recorder("c", "i", {.most = 2});
  const auto named = [](const std::string& reason) {
    EventNote note = oom();
    note.reason = reason;
    return note;
  };
  recorder.record(named("A"), kStart);
  recorder.done(*recorder.next(kStart), Outcome::sent, kStart);
  recorder.record(named("B"), kStart + 1s);
  recorder.record(named("C"), kStart + 2s);  // in A's place
  CHECK(recorder.waiting() == 2);
  recorder.record(named("D"), kStart + 3s);
  CHECK(recorder.waiting() == 2);
  CHECK(recorder.counts().dropped == 1);
}

TEST_CASE("what many nodes say has one name and is told once") {
  EventRecorder recorder("c", "i");
  EventNote note = oom();
  note.about = {.api = "networking.k8s.io/v1", .kind = "NetworkPolicy", .space = "shop", .name = "web", .uid = "u"};
  note.shared_name = "web.abc";
  recorder.record(note, kStart);
  recorder.record(note, kStart);
  const auto write = recorder.next(kStart);
  REQUIRE(write);
  CHECK(write->path == "/apis/events.k8s.io/v1/namespaces/shop/events");
  CHECK(body_of(*write).at("metadata").at("name") == "web.abc");
  CHECK_FALSE(body_of(*write).contains("series"));
  recorder.done(*write, Outcome::sent, kStart);
  recorder.record(note, kStart + 1s);
  CHECK_FALSE(recorder.next(kStart + 1h));
}

TEST_CASE("a long note is cut between characters") {
  EventRecorder recorder("c", "i");
  EventNote note = oom();
  note.note = std::string(1020, 'x') + "\u00e4\u00e4\u00e4\u00e4";
  recorder.record(note, kStart);
  const auto text = body_of(*recorder.next(kStart)).at("note").as_string();
  CHECK(text.size() <= EventRecorder::kLongestNote);
  CHECK(std::string_view(text).ends_with("x..."));
}

}  // namespace omnitide::kubernetes
