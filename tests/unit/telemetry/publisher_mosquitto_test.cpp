// The publisher with Debian's mosquitto, killed and started again, read by mosquitto_sub.
#include <set>
#include <sstream>

#include "tests/harness/catch.hpp"
#include "tests/harness/mosquitto.hpp"
#include "tests/harness/publisher_node.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

// Numbers of a topic, as mosquitto_sub printed them: "TOPIC QOS RETAIN HEX".
std::vector<int> numbers(const std::string& text, const std::string& topic) {
  std::vector<int> out;
  std::istringstream lines(text);
  for (std::string name, qos, retain, hex; lines >> name >> qos >> retain >> hex;) {
    if (name != topic) continue;
    std::string digits;
    for (std::size_t i = 1; i < hex.size(); i += 2)
      digits += hex[i];  // ASCII digits are 3x
    out.push_back(std::stoi(digits));
  }
  return out;
}

}  // namespace

TEST_CASE("mosquitto ended and started again and again loses no record for a reader whose session it keeps") {
  const TempTree tree;
  Mosquitto broker(tree.path(), "allow_anonymous true\npersistence true\nmax_queued_messages 0\n");
  const Subscriber reader(tree.path(), broker.port(), "t/#", "reader");
  Loop loop;
  PublisherNode node(loop, publisher_options(tree, {broker.port()}));
  int last = 0;
  const auto give = [&node, &last](int count) {
    node.give(Stream::metrics, last + 1, last + count);
    last += count;
  };
  for (int round = 0; round < 5; ++round) {
    REQUIRE(node.connected());
    for (int i = 0; i < 10; ++i) {
      give(30);
      loop.run_for(2ms);
    }
    broker.stop();  // with SIGTERM it writes what it has
    give(50);
    loop.run_for(50ms);
    broker.start();
  }
  REQUIRE(node.empties());
  std::set<int> came;
  CHECK(loop.until([&] {
    const std::vector<int> now = numbers(reader.text(), "t/metrics");
    came = {now.begin(), now.end()};
    return came.size() == static_cast<std::size_t>(last);
  }));
  CHECK(came.size() == static_cast<std::size_t>(last));
  const PublisherStatus status = node.publisher->status();
  CHECK(status.confirmed[static_cast<std::size_t>(Stream::metrics)] == static_cast<std::uint64_t>(last));
}

TEST_CASE("a publisher's status is online for late readers, and offline by will after a kill") {
  const TempTree tree;
  const Mosquitto broker(tree.path());
  Loop loop;
  PublisherOptions options = publisher_options(tree, {broker.port()});
  options.plain.status_topic = "t/status";
  {
    PublisherNode node(loop, options);
    REQUIRE(node.connected());
    loop.run_for(100ms);
    const Subscriber late(tree.path(), broker.port(), "t/status");
    CHECK(late.text().find("t/status 1 1 6f6e6c696e65") != std::string::npos);
    std::filesystem::remove(tree.path() + "/subscriber.txt");
  }  // without stop(): as after a kill
  loop.run_for(100ms);
  const Subscriber later(tree.path(), broker.port(), "t/status");
  CHECK(later.text().find("t/status 1 1 6f66666c696e65") != std::string::npos);
}
