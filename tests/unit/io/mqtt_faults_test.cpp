// The MQTT connection with brokers that do it wrong.
#include <signal.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/memory.hpp"
#include "tests/harness/mqtt_peer.hpp"
#include "tests/harness/scripted_broker.hpp"
#include "tests/harness/tcp.hpp"

using namespace omnitide;
using namespace omnitide::io;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

constexpr MqttVersion kVersions[] = {MqttVersion::v311, MqttVersion::v5};

Error refusal(const BrokerRules& rules, MqttVersion version) {
  const ScriptedBroker broker(rules);
  Loop loop;
  MqttOptions options = options_for(broker.port(), version);
  options.connect_timeout = 1s;
  Connected peer(loop, options);
  const Result<> answer = peer.connect();
  REQUIRE(answer.has_error());
  CHECK(peer.closings == 0);
  return answer.error();
}

}  // namespace

TEST_CASE("CONNECT carries what the options say") {
  const ScriptedBroker broker;
  for (const MqttVersion version : kVersions) {
    Loop loop;
    MqttOptions options = options_for(broker.port(), version);
    options.username = "u";
    options.password = "p";
    options.keep_alive = 45s;
    options.max_message = 5'000;
    options.will = MqttMessage{.topic = "w", .payload = std::string("\0\1", 2), .qos = 1, .retain = false};
    Connected peer(loop, options);
    REQUIRE(peer.connect());
    const SeenConnect seen = broker.seen().connects.back();
    CHECK(seen.version == (version == MqttVersion::v5 ? 5 : 4));
    CHECK(seen.clean);
    CHECK(seen.client_id == "omnitide-test");
    CHECK((seen.username == "u" && seen.password == "p"));
    CHECK(seen.keep_alive == 45);
    CHECK((seen.has_will && seen.will_topic == "w" && seen.will_payload == std::string("\0\1", 2) &&
           seen.will_qos == 1 && !seen.will_retain));
    if (version == MqttVersion::v5) {
      CHECK(seen.properties.at(0x27) == 5'000 + 1'024);  // maximum packet size
      CHECK(seen.properties.count(0x11) == 0);           // no session expiry: 0
    }
  }
}

TEST_CASE("CONNACK's refusals are named by cause") {
  struct Case {
    MqttVersion version;
    std::uint8_t code;
    Code kind;
    const char* words;
  };
  const auto [version, code, kind, words] =
      GENERATE(Case{MqttVersion::v311, 1, Code::failed_precondition, "unsupported protocol version"},
               Case{MqttVersion::v311, 2, Code::invalid_argument, "client identifier not valid"},
               Case{MqttVersion::v311, 3, Code::unavailable, "server unavailable"},
               Case{MqttVersion::v311, 4, Code::unauthenticated, "bad user name or password"},
               Case{MqttVersion::v311, 5, Code::permission_denied, "not authorised"},
               Case{MqttVersion::v5, 0x84, Code::failed_precondition, "unsupported protocol version"},
               Case{MqttVersion::v5, 0x86, Code::unauthenticated, "bad user name or password"},
               Case{MqttVersion::v5, 0x89, Code::unavailable, "server busy"},
               Case{MqttVersion::v5, 0x97, Code::resource_exhausted, "quota exceeded"},
               Case{MqttVersion::v5, 0x9F, Code::resource_exhausted, "connection rate exceeded"});
  BrokerRules rules;
  rules.connack = code;
  const Error error = refusal(rules, version);
  INFO(error.text());
  CHECK(error.code == kind);
  CHECK(error.message.find(words) != std::string::npos);
}

TEST_CASE("a broker that says nothing, what is none, or half of it, is told apart in time") {
  for (const MqttVersion version : kVersions) {
    BrokerRules silent;
    silent.answer_connect = false;
    CHECK(refusal(silent, version).message.find("did not answer CONNECT in time") != std::string::npos);
    BrokerRules web;
    web.instead_of_connack = "HTTP/1.1 400 Bad Request\r\n\r\n";
    CHECK(refusal(web, version).code == Code::data_loss);
    BrokerRules wrong;
    wrong.instead_of_connack = std::string("\x20\x05\0\0\xFF\xFF\xFF", 7);
    if (version == MqttVersion::v5) CHECK(refusal(wrong, version).code == Code::data_loss);
    BrokerRules half;
    half.instead_of_connack = std::string("\x20", 1);
    CHECK(refusal(half, version).code == Code::deadline_exceeded);
    BrokerRules closed;
    closed.accept = false;
    CHECK(refusal(closed, version).code == Code::unavailable);
  }
}

TEST_CASE("a broker that dribbles its bytes is understood") {
  BrokerRules rules;
  rules.dribble = 1;
  ScriptedBroker broker(rules);
  for (const MqttVersion version : kVersions) {
    Loop loop;
    Connected peer(loop, options_for(broker.port(), version));
    REQUIRE(peer.connect());
    REQUIRE(loop.run(peer.connection->subscribe({"a", "b"}, 1)));
    broker.publish("a", "slow words", 1);
    REQUIRE(loop.until([&peer] { return !peer.messages.empty(); }));
    CHECK(peer.messages[0].payload == "slow words");
    peer.connection->close();
  }
}

TEST_CASE("a cut within a packet, a reset and a FIN end the connection once") {
  const int how = GENERATE(0, 1, 2);
  ScriptedBroker broker;
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  if (how == 0) {
    broker.send(wire::packet(0x30, wire::text("t") + std::string(1, '\0') + std::string(500, 'x')).substr(0, 40));
    loop.run_for(50ms);
  }
  broker.cut(how != 2);
  REQUIRE(loop.until([&peer] { return peer.closed.has_value(); }, 2s));
  loop.run_for(20ms);
  CHECK(peer.closings == 1);
  CHECK(peer.closed->code == Code::unavailable);
  CHECK(peer.messages.empty());
}

TEST_CASE("garbage ends the connection with a clear error") {
  ScriptedBroker broker;
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  broker.send(std::string("\xF7\x02\x01\x01", 4));
  REQUIRE(loop.until([&peer] { return peer.closed.has_value(); }, 2s));
  CHECK(peer.closed->code == Code::data_loss);
  CHECK(peer.closed->message == "the broker sent what is not MQTT");
}

TEST_CASE("what the broker says in DISCONNECT is said on") {
  ScriptedBroker broker;
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  broker.disconnect(0x8E);
  REQUIRE(loop.until([&peer] { return peer.closed.has_value(); }, 2s));
  CHECK(peer.closed->message == "the broker ended the connection: session taken over (0x8e)");
  CHECK(peer.closed->hint == "another client uses the same client id");
}

TEST_CASE("answers carry their reason, and a lost one ends the connection in time") {
  BrokerRules rules;
  rules.puback = [](const SeenPublish& seen) {
    return seen.payload == "lose" ? -1 : seen.payload == "deny" ? 0x87 : 0;
  };
  const ScriptedBroker broker(rules);
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.answer_timeout = 1s;
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  const MqttNumber denied = *peer.connection->publish("t", "deny", 1, false);
  REQUIRE(peer.answered(denied));
  CHECK(peer.answers.back().reason == 0x87);
  const MqttNumber lost = *peer.connection->publish("t", "lose", 1, false);
  REQUIRE(loop.until(
      [&peer] {
        (void)peer.connection->publish("t", "more", 1, false);  // other answers do not hide it
        return peer.closed.has_value();
      },
      5s));
  CHECK(peer.closed->code == Code::deadline_exceeded);
  for (const MqttAnswer& answer : peer.answers)
    CHECK(answer.number != lost);
}

TEST_CASE("no more is on its way than the window and the broker allow, and room is told") {
  const bool limited = GENERATE(false, true);
  BrokerRules rules;
  if (limited) rules.connack_properties = std::string("\x21", 1) + wire::u16(7);  // receive maximum
  std::atomic<bool> answering{false};
  rules.puback = [&answering](const SeenPublish&) { return answering ? 0 : -1; };
  ScriptedBroker broker(rules);
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.max_in_flight = 20;
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  const std::size_t window = limited ? 7 : 20;
  for (std::size_t i = 0; i < window; ++i)
    REQUIRE(peer.connection->publish("t", "x", 1, false));
  CHECK(peer.connection->publish("t", "x", 1, false).error().code == Code::resource_exhausted);
  CHECK(peer.connection->in_flight() == window);
  REQUIRE(peer.connection->publish("t", "x", 0, false));  // has no answer, so it has no place in the window
  CHECK(broker.wait([window](const SeenByBroker& seen) { return seen.publish_count == window + 1; }));
  CHECK(peer.writable == 0);
  broker.send(wire::packet(0x40, wire::u16(broker.seen().publishes[0].id)));
  REQUIRE(loop.until([&peer] { return peer.writable == 1; }));
  CHECK(peer.connection->publish("t", "x", 1, false));
}

TEST_CASE("a broker that takes nothing fills the buffer to its bound, and room is told when it takes again") {
  BrokerRules rules;
  ScriptedBroker broker(rules);
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.max_buffered = 100'000;
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  broker.change([](BrokerRules& now) { now.read = false; });
  const std::string payload(10'000, 'x');
  std::size_t taken = 0;
  const auto fill = [&] {
    while (peer.connection->publish("t", payload, 0, false))
      ++taken;
    return false;
  };
  (void)loop.until(fill, 500ms);
  CHECK(peer.connection->buffered() <= 100'000);
  CHECK(peer.connection->publish("t", payload, 0, false).error().code == Code::resource_exhausted);
  broker.change([](BrokerRules& now) { now.read = true; });
  REQUIRE(loop.until([&peer] { return peer.writable > 0; }));
  CHECK(broker.wait([taken](const SeenByBroker& seen) { return seen.publish_count == taken; }));
  loop.run_for(10ms);
  CHECK(peer.connection->buffered() == 0);
}

TEST_CASE("a packet larger than allowed ends the connection before it is held", "[memory]") {
  for (const MqttVersion version : kVersions) {
    ScriptedBroker broker;
    Loop loop;
    MqttOptions options = options_for(broker.port(), version);
    options.max_message = 100'000;
    Connected peer(loop, options);
    REQUIRE(peer.connect());
    // Of 100 MB that are announced three come: who waits for the whole waits for ever, with memory for all of it.
    const std::string whole = wire::packet(0x30, wire::text("t") + std::string(100'000'000, 'x'));
    const std::size_t before = resident_kilobytes();
    broker.send(std::string_view(whole).substr(0, 3'000'000));
    CHECK(loop.until([&peer] { return peer.closed.has_value(); }, 5s));
    CHECK(resident_kilobytes() < before + 16'000);
    REQUIRE(peer.closed.has_value());
    CHECK(peer.closed->code == Code::resource_exhausted);
    CHECK(peer.messages.empty());
  }
}

TEST_CASE("a message just over the bound is refused as well, one below it is not") {
  ScriptedBroker broker;
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.max_message = 1'000;
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  broker.publish("t", std::string(1'000, 'x'));
  REQUIRE(loop.until([&peer] { return peer.messages.size() == 1; }));
  broker.publish("t", std::string(1'001, 'x'));
  REQUIRE(loop.until([&peer] { return peer.closed.has_value(); }));
  CHECK(peer.messages.size() == 1);
}

TEST_CASE("a half-dead broker is found within one and a half keep-alives", "[slow]") {
  BrokerRules rules;
  rules.answer_ping = false;
  ScriptedBroker broker(rules);
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.keep_alive = 5s;
  Connected peer(loop, options);
  REQUIRE(peer.connect());
  const auto before = std::chrono::steady_clock::now();
  REQUIRE(loop.until(
      [&peer] {
        (void)peer.connection->publish("t", "x", 0, false);  // what we send is no sign of its life
        return peer.closed.has_value();
      },
      20s));
  const auto took = std::chrono::steady_clock::now() - before;
  CHECK(took > 5s);
  CHECK(took < 8'500ms);
  CHECK(broker.seen().pings >= 1);
}

TEST_CASE("a refused subscription is an error that names its filter") {
  BrokerRules rules;
  for (const MqttVersion version : kVersions) {
    rules.suback = version == MqttVersion::v5 ? 0x87 : 0x80;
    const ScriptedBroker broker(rules);
    Loop loop;
    Connected peer(loop, options_for(broker.port(), version));
    REQUIRE(peer.connect());
    const Result<> answer = loop.run(peer.connection->subscribe({"some/filter"}, 1));
    REQUIRE(answer.has_error());
    CHECK(answer.error().code == Code::permission_denied);
    CHECK(answer.error().message.find("some/filter") != std::string::npos);
    CHECK(peer.connection->fence().error().code == Code::failed_precondition);
  }
}

TEST_CASE("a fence asks for no retained messages where MQTT 5 can say so") {
  const ScriptedBroker broker;
  for (const MqttVersion version : kVersions) {
    Loop loop;
    Connected peer(loop, options_for(broker.port(), version));
    REQUIRE(peer.connect());
    REQUIRE(loop.run(peer.connection->subscribe({"first", "second"}, 1)));
    const Result<MqttNumber> fence = peer.connection->fence();
    REQUIRE(fence);
    REQUIRE(peer.answered(*fence));
    const SeenSubscribe seen = broker.seen().subscribes.back();
    CHECK(seen.filters == std::vector<std::string>{"first"});
    CHECK(seen.options == (version == MqttVersion::v5 ? 0x21 : 0x01));
  }
}

TEST_CASE("DISCONNECT arrives with its reason, behind all that was published, though answers come meanwhile") {
  ScriptedBroker broker;
  for (const std::uint8_t reason : {std::uint8_t{0}, std::uint8_t{4}}) {
    broker.forget();
    Loop loop;
    Connected peer(loop, options_for(broker.port()));
    REQUIRE(peer.connect());
    for (int i = 0; i < 100; ++i)
      REQUIRE(peer.connection->publish("t", std::string(1'000, 'x'), 1, false));
    loop.run(peer.connection->disconnect(reason, 5s));
    REQUIRE(broker.wait([](const SeenByBroker& seen) { return !seen.disconnects.empty(); }));
    CHECK(broker.seen().publish_count == 100);
    CHECK(broker.seen().disconnects[0].reason == reason);
  }
}

TEST_CASE("a write to a connection that is gone is no signal that kills the process") {
  ::signal(SIGPIPE, SIG_DFL);
  ScriptedBroker broker;
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  broker.cut();
  std::this_thread::sleep_for(20ms);
  for (int i = 0; i < 10; ++i)
    (void)peer.connection->publish("t", "x", 1, false);
  CHECK(loop.until([&peer] { return peer.closed.has_value(); }, 2s));
  CHECK(peer.connection->publish("t", "x", 1, false).error().code == Code::unavailable);
}
