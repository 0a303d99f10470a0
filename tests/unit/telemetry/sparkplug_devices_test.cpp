#include "tests/harness/catch.hpp"
#include "tests/harness/sparkplug_edge.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace std::chrono_literals;
using test::known;
using test::SparkplugEdge;

namespace {

std::vector<KnownMetric> set(std::initializer_list<const char*> devices, std::initializer_list<int> of_node = {0}) {
  std::vector<KnownMetric> out;
  for (const int i : of_node)
    out.push_back(known(100 + static_cast<std::uint64_t>(i), "", "m" + std::to_string(i), 1.0));
  for (const char* const device : devices)
    out.push_back(known(static_cast<std::uint64_t>(device[0]), std::string("disk:") + device, "x", 1.0));
  return out;
}

}  // namespace

TEST_CASE("devices: one that is plugged in is born, one that is pulled out dies, without a birth of the node") {
  SparkplugEdge edge({});
  edge.metrics(set({"a"}));
  edge.connect();
  edge.clear();
  edge.now += 10s;
  edge.metrics(set({"a", "b"}));
  CHECK(edge.types() == "DBIRTH disk:b");
  edge.clear();
  edge.now += 10s;
  edge.metrics(set({"b"}));
  CHECK(edge.types() == "DDEATH disk:a");
  CHECK_FALSE(edge.host.devices().at("disk:a").online);
  CHECK(edge.host.devices().at("disk:b").online);
  edge.data(
      {{"disk:a", edge.now, {{'a', DataType::double_, 2.0}}}, {"disk:b", edge.now, {{'b', DataType::double_, 2.0}}}});
  CHECK(edge.types() == "DDEATH disk:a, DDATA disk:b");
  CHECK(edge.session.counts().unknown_aliases == 1);
  CHECK(edge.session.counts().device_births == 2);
  CHECK(edge.session.counts().device_deaths == 1);
  CHECK(edge.session.counts().births == 1);
  CHECK(edge.problems().empty());
}

TEST_CASE("devices: one that comes and goes is born once a minute, and dies at once each time") {
  SparkplugEdge edge({});
  edge.metrics(set({"a"}));
  edge.connect();
  edge.now += 2min;
  for (int i = 0; i < 30; ++i) {
    edge.metrics(set({"a", "b"}));
    edge.wait(1s);
    edge.metrics(set({"a"}));
    edge.wait(1s);
  }
  CHECK(edge.host.devices().at("disk:b").births == 1);
  CHECK(edge.host.devices().at("disk:b").deaths == 1);
  edge.metrics(set({"a", "b"}));
  edge.wait(60s);
  CHECK(edge.host.devices().at("disk:b").births == 2);
  CHECK(edge.host.devices().at("disk:b").online);
  CHECK(edge.problems().empty());
}

TEST_CASE("devices: another set of metrics of one device bears this device anew") {
  SparkplugEdge edge({});
  edge.metrics(set({"a", "b"}));
  edge.connect();
  edge.clear();
  edge.now += 61s;
  std::vector<KnownMetric> more = set({"a", "b"});
  more.push_back(known(200, "disk:b", "y", 2.0));
  edge.metrics(more);
  CHECK(edge.types() == "DBIRTH disk:b");
  CHECK(edge.host.find("disk:b", "y") != nullptr);
  edge.now += 10s;
  more.push_back(known(201, "disk:b", "z", 2.0));
  edge.metrics(more);
  CHECK(edge.types() == "DBIRTH disk:b");
  edge.wait(50s);
  CHECK(edge.types() == "DBIRTH disk:b, DBIRTH disk:b");
  CHECK(edge.host.find("disk:b", "z") != nullptr);
  CHECK(edge.problems().empty());
}

TEST_CASE("sets: a changed set of the node causes at most one birth a minute, counted") {
  SparkplugEdge edge({});
  edge.metrics(set({"a"}));
  edge.connect();
  CHECK(edge.session.counts().rebirths == 0);
  for (int i = 1; i <= 600; ++i) {  // another set each second, for ten minutes
    edge.wait(1s);
    edge.metrics(set({"a"}, {0, i}));
  }
  CHECK(edge.session.counts().rebirths == 10);
  CHECK(edge.session.counts().births == 11);
  CHECK(edge.session.counts().delayed_births == 11);  // the last one still waits
  CHECK(edge.problems().empty());

  SECTION("what is not in the birth yet is not told") {
    edge.wait(1s);
    edge.metrics(set({"a"}, {0, 700}));
    CHECK_FALSE(edge.session.born(800));
    CHECK(edge.session.next_tick().has_value());
    edge.wait(60s);
    CHECK(edge.session.born(800));
    CHECK_FALSE(edge.session.next_tick().has_value());
    CHECK(edge.session.counts().rebirths == 11);
  }
  SECTION("a set that becomes the old one again causes none") {
    const std::uint64_t births = edge.session.counts().births;
    edge.metrics(set({"a"}, {0, 1000}));
    edge.metrics(set({"a"}, {0, 599}));  // as born
    edge.wait(10min);
    CHECK(edge.session.counts().births == births);
  }
}

TEST_CASE("sets: values alone cause no births") {
  SparkplugEdge edge({});
  edge.metrics({known(16, "", "a", 1.0), known(17, "disk:a", "b", 1.0)});
  edge.connect();
  edge.clear();
  for (int i = 0; i < 100; ++i) {
    edge.wait(10s);
    edge.metrics({known(17, "disk:a", "b", 1.0 * i), known(16, "", "a", 2.0 * i)});  // nor does another order
  }
  CHECK(edge.sent.empty());
}

TEST_CASE("sets: a clock that jumps back does not hold births up") {
  SparkplugEdge edge({});
  edge.metrics(set({"a"}));
  edge.connect();
  edge.clear();
  edge.now -= std::chrono::hours{24 * 365};
  edge.metrics(set({"a", "b"}, {0, 1}));
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:a, DBIRTH disk:b");
  edge.clear();
  edge.now -= std::chrono::hours{24 * 365};
  edge.session.rebirth(edge.now);
  edge.pump();
  CHECK(edge.types() == "NBIRTH, DBIRTH disk:a, DBIRTH disk:b");
}

TEST_CASE("devices: more than can be followed are left out") {
  SparkplugEdge edge({});
  std::vector<KnownMetric> many;
  for (std::uint64_t i = 0; i < 5'000; ++i)
    many.push_back(known(16 + i, "disk:" + std::to_string(i), "x", 1.0));
  edge.metrics(many);
  edge.connect();
  CHECK(edge.session.counts().device_births == 4'095);
  CHECK(edge.problems().empty());
}
