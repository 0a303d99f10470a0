// The MQTT connection with Debian's mosquitto.
#include <array>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fstream>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/mosquitto.hpp"
#include "tests/harness/mqtt_peer.hpp"

using namespace omnitide;
using namespace omnitide::io;
using namespace omnitide::test;
using namespace std::chrono_literals;

namespace {

constexpr MqttVersion kVersions[] = {MqttVersion::v311, MqttVersion::v5};

// Listens, but has no room for one more: who connects gets no answer.
class FullDoor {
 public:
  FullDoor() : fd_(bound_socket(SOCK_STREAM, "127.0.0.1", 0, 0)) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    for (int i = 0; i < 3; ++i) {
      UniqueFd& guest = guests_[static_cast<std::size_t>(i)];
      guest.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(guest.get(), generic(address), size);
    }
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  UniqueFd fd_;
  std::array<UniqueFd, 3> guests_;
  std::uint16_t port_ = 0;
};

boost::asio::awaitable<void> busy(Loop& loop, std::chrono::milliseconds time) {
  std::function<void()> job = [time] { std::this_thread::sleep_for(time); };
  (void)co_await loop.pool.run(std::move(job), 5s);
}

bool eventually(const std::function<bool()>& ready) {
  for (int i = 0; i < 500; ++i) {
    if (ready()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("messages of both qualities arrive in order, and an answer behind them says so") {
  const TempTree tree;
  const Mosquitto broker(tree.path());
  const Subscriber reader(tree.path(), broker.port(), "t/#");
  for (const MqttVersion version : kVersions) {
    Loop loop;
    Connected peer(loop, options_for(broker.port(), version));
    REQUIRE(peer.connect());
    REQUIRE(loop.run(peer.connection->subscribe({"t/in", "t/other"}, 1)));
    MqttNumber last = 0;
    for (int i = 0; i < 100; ++i) {
      const std::uint8_t qos = i % 2 == 0 ? 0 : 1;
      Result<MqttNumber> number = peer.connection->publish("t/in", std::to_string(i), qos, false);
      if (number.has_error()) {  // MQTT 5: mosquitto allows 20 at a time
        CHECK(number.error().code == Code::resource_exhausted);
        const int before = std::exchange(peer.writable, 0);
        REQUIRE(loop.until([&peer] { return peer.writable > 0; }));
        CHECK(before <= 20);
        number = peer.connection->publish("t/in", std::to_string(i), qos, false);
      }
      REQUIRE(number);
      CHECK(*number > last);
      last = *number;
    }
    REQUIRE(loop.until([&peer] { return peer.connection->in_flight() < 20; }));
    const Result<MqttNumber> fence = peer.connection->fence();
    REQUIRE(fence);
    REQUIRE(peer.answered(*fence));
    CHECK(peer.answers.size() == 51);
    CHECK(std::is_sorted(peer.answers.begin(), peer.answers.end(),
                         [](const auto& a, const auto& b) { return a.number < b.number; }));
    REQUIRE(loop.until([&peer] { return peer.messages.size() >= 100; }));
    std::array<int, 2> next{0, 1};  // mosquitto keeps the order of each quality for itself
    for (const MqttMessage& message : peer.messages) {
      CHECK(message.payload == std::to_string(next[message.qos]));
      next[message.qos] += 2;
    }
    CHECK(peer.connection->in_flight() == 0);
    CHECK(peer.connection->buffered() == 0);
    loop.run(peer.connection->disconnect(0, 2s));
    CHECK(peer.closings == 0);
  }
  CHECK(eventually([&reader] { return reader.text().find("t/in 1 0 3439") != std::string::npos; }));
}

TEST_CASE("the will is published after close(), and not after disconnect(), but by reason 0x04 again") {
  const TempTree tree;
  const Mosquitto broker(tree.path());
  const Subscriber reader(tree.path(), broker.port(), "will/#");
  const auto options = [&broker](const char* topic) {
    MqttOptions out = options_for(broker.port());
    out.will = MqttMessage{.topic = topic, .payload = "gone", .qos = 1, .retain = true};
    return out;
  };
  Loop loop;
  Connected closes(loop, options("will/close"));
  REQUIRE(closes.connect());
  closes.connection->close();
  CHECK(closes.connection->publish("x", "y", 0, false).has_error());
  Connected leaves(loop, options("will/disconnect"));
  REQUIRE(leaves.connect());
  loop.run(leaves.connection->disconnect(0, 2s));
  Connected tells(loop, options("will/told"));
  REQUIRE(tells.connect());
  loop.run(tells.connection->disconnect(0x04, 2s));
  CHECK(eventually([&reader] { return reader.text().find("will/close 1 0 676f6e65") != std::string::npos; }));
  CHECK(eventually([&reader] { return reader.text().find("will/told 1 0") != std::string::npos; }));
  CHECK(reader.text().find("will/disconnect") == std::string::npos);
}

TEST_CASE("a refusal says why, in the words of both versions") {
  const TempTree tree;
  const std::string folder = tree.path();
  REQUIRE(answer_of({"mosquitto_passwd", "-c", "-b", folder + "/passwords", "node", "secret"}, folder + "/out").code ==
          0);
  const Mosquitto broker(folder, "allow_anonymous false\npassword_file " + folder + "/passwords\n");
  for (const MqttVersion version : kVersions) {
    Loop loop;
    MqttOptions options = options_for(broker.port(), version);
    options.username = "node";
    options.password = "wrong";
    Connected refused(loop, options);
    const Result<> answer = refused.connect();
    REQUIRE(answer.has_error());
    INFO(answer.error().text());
    CHECK((answer.error().code == Code::permission_denied || answer.error().code == Code::unauthenticated));
    CHECK(answer.error().message.find("the broker refuses the connection: not authorised") != std::string::npos);
    options.password = "secret";
    Connected admitted(loop, options);
    CHECK(admitted.connect());
  }
}

TEST_CASE("no broker, no name, no time: each is told apart") {
  Loop loop;
  Connected nobody(loop, options_for(free_port()));
  const Result<> refused = nobody.connect();
  REQUIRE(refused.has_error());
  CHECK(refused.error().code == Code::unavailable);
  CHECK(refused.error().message.find("refused") != std::string::npos);

  MqttOptions options = options_for(1883);
  options.host = "no-such-host.invalid";
  Connected nameless(loop, options);
  const Result<> unknown = nameless.connect();
  REQUIRE(unknown.has_error());
  CHECK(unknown.error().message.find("cannot look up no-such-host.invalid") != std::string::npos);

  const FullDoor door;
  options = options_for(door.port());
  options.connect_timeout = 300ms;
  Connected silent(loop, options);
  const auto before = std::chrono::steady_clock::now();
  const Result<> late = silent.connect();
  REQUIRE(late.has_error());
  CHECK(late.error().message.find("no TCP connection in time") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - before < 2s);
}

TEST_CASE("the loop goes on while a name is looked up, and no look-up takes longer than a connection may") {
  Loop loop;
  boost::asio::co_spawn(loop.context, busy(loop, 600ms), boost::asio::detached);
  boost::asio::co_spawn(loop.context, busy(loop, 600ms), boost::asio::detached);
  int turns = 0;
  boost::asio::steady_timer clock(loop.context);
  std::function<void()> tick = [&clock, &turns, &tick] {
    clock.expires_after(5ms);
    clock.async_wait([&turns, &tick](const boost::system::error_code& error) {
      if (!error && ++turns < 10'000) tick();
    });
  };
  tick();
  MqttOptions options = options_for(1883);
  options.host = "localhost";
  options.connect_timeout = 300ms;
  Connected peer(loop, options);
  const Result<> late = peer.connect();
  clock.cancel();
  REQUIRE(late.has_error());
  CHECK(late.error().message.find("the name look-up did not end in time") != std::string::npos);
  CHECK(turns > 20);
  loop.run_for(400ms);
}

TEST_CASE("a name of several addresses leads to the one that answers") {
  const TempTree tree;
  const Mosquitto broker(tree.path());
  Loop loop;
  MqttOptions options = options_for(broker.port());
  options.host = "localhost";  // ::1 too, where nothing listens
  Connected peer(loop, options);
  CHECK(peer.connect());
}

TEST_CASE("close() while connecting ends the wait, and the object may go at once") {
  Loop loop;
  const FullDoor door;
  auto peer = std::make_unique<Connected>(loop, options_for(door.port()));
  std::optional<Result<>> answer;
  boost::asio::co_spawn(loop.context, peer->connection->connect(),
                        [&answer](std::exception_ptr, Result<> result) { answer = std::move(result); });
  loop.run_for(50ms);
  CHECK(!answer);
  peer.reset();
  REQUIRE(loop.until([&answer] { return answer.has_value(); }, 1s));
  REQUIRE(answer->has_error());
  CHECK(answer->error().code == Code::aborted);
}

TEST_CASE("a killed broker is noticed at once, and its return is another connection's matter") {
  const TempTree tree;
  Mosquitto broker(tree.path());
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  broker.stop(SIGKILL);
  REQUIRE(loop.until([&peer] { return peer.closed.has_value(); }, 2s));
  CHECK(peer.closings == 1);
  CHECK(!peer.connection->connected());
  CHECK(loop.run(peer.connection->connect()).error().code == Code::failed_precondition);
  broker.start();
  Connected next(loop, options_for(broker.port()));
  CHECK(next.connect());
}

TEST_CASE("what no broker takes is refused one by one, and the connection stays") {
  const TempTree tree;
  const Mosquitto broker(tree.path(), "allow_anonymous true\nmax_packet_size 2000\n");
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  CHECK(peer.connection->publish("t", std::string(5'000, 'x'), 1, false).error().code == Code::invalid_argument);
  CHECK(peer.connection->publish("a/#", "x", 1, false).error().code == Code::invalid_argument);
  CHECK(peer.connection->publish("", "x", 1, false).error().code == Code::invalid_argument);
  CHECK(peer.connection->fence().error().code == Code::failed_precondition);
  const Result<MqttNumber> good = peer.connection->publish("t", "x", 1, false);
  REQUIRE(good);
  CHECK(peer.answered(*good));
}

TEST_CASE("an idle connection costs no time of the processor") {
  const TempTree tree;
  const Mosquitto broker(tree.path());
  Loop loop;
  Connected peer(loop, options_for(broker.port()));
  REQUIRE(peer.connect());
  std::size_t turns = 0;
  const auto deadline = std::chrono::steady_clock::now() + 1s;
  while (std::chrono::steady_clock::now() < deadline) {
    loop.context.restart();
    turns += loop.context.run_one_for(100ms);
  }
  CHECK(turns < 10);
}

TEST_CASE("the library is named with its version") {
  const Result<std::string> library = mqtt_library();
  REQUIRE(library);
  CHECK(library->starts_with("libmosquitto 2."));
  CHECK(library->ends_with("with TLS"));
}
