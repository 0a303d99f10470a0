// A connection under test, with all that it tells.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/io/mqtt.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::test {

inline io::MqttOptions options_for(std::uint16_t port, io::MqttVersion version = io::MqttVersion::v5) {
  io::MqttOptions out;
  out.host = "127.0.0.1";
  out.port = port;
  out.version = version;
  out.client_id = "omnitide-test";
  out.connect_timeout = std::chrono::seconds(5);
  return out;
}

struct Connected {
  explicit Connected(Loop& on, io::MqttOptions options) : loop(on) {
    io::MqttConnection::Handlers handlers;
    handlers.on_message = [this](io::MqttMessage message) { messages.push_back(std::move(message)); };
    handlers.on_answer = [this](io::MqttAnswer answer) { answers.push_back(answer); };
    handlers.on_writable = [this] { ++writable; };
    handlers.on_closed = [this](Error error) {
      ++closings;
      closed = std::move(error);
    };
    connection = std::make_unique<io::MqttConnection>(on.context, on.pool, std::move(options), std::move(handlers));
  }
  Result<> connect() { return loop.run(connection->connect()); }
  bool answered(io::MqttNumber number) {
    return loop.until([this, number] {
      return std::any_of(answers.begin(), answers.end(), [number](const auto& one) { return one.number == number; });
    });
  }

  Loop& loop;
  std::unique_ptr<io::MqttConnection> connection;
  std::vector<io::MqttMessage> messages;
  std::vector<io::MqttAnswer> answers;
  std::optional<Error> closed;
  int closings = 0, writable = 0;
};

}  // namespace omnitide::test
