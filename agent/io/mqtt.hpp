// One MQTT connection: libmosquitto on the caller's loop, without a thread of its own. An object lives for one CONNECT,
// since a will can be given only before it and since libmosquitto keeps a queue over connections that nobody can bound.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/worker_pool.hpp"

namespace omnitide::io {

enum class MqttVersion : std::uint8_t { v311, v5 };

struct MqttMessage {
  std::string topic;
  std::string payload;
  std::uint8_t qos = 0;
  bool retain = false;
};

struct MqttTls {
  bool enabled = false;
  std::string ca_file;                     // PEM; empty: the system's
  std::string certificate_file, key_file;  // PEM, both or none
  std::string psk_identity, psk_hex;       // instead of certificates; both or none
  std::string alpn;                        // one protocol, empty for none
  bool allow_tls12 = true;                 // else 1.3 only
};

struct MqttOptions {
  std::string host;  // a name, looked up off the loop, or an address
  std::uint16_t port = 1883;
  MqttVersion version = MqttVersion::v5;
  std::string client_id;
  std::string username, password;  // empty user name: none is sent
  MqttTls tls;
  std::optional<MqttMessage> will;
  std::chrono::seconds keep_alive{60};
  std::chrono::milliseconds connect_timeout{20'000};  // name look-up, TCP, TLS and CONNACK together; also of SUBACK
  std::chrono::milliseconds answer_timeout{30'000};   // a broker that leaves a publish without its answer is given up
  std::size_t max_in_flight = 100;                    // publishes and fences that are not answered yet
  std::size_t max_buffered = std::size_t{1} << 20U;   // bytes handed over that the socket has not taken
  std::size_t max_message = std::size_t{1} << 20U;    // a larger one that comes in ends the connection
};

// Numbers of one connection, from 1, in the order of the calls.
using MqttNumber = std::uint64_t;

struct MqttAnswer {
  MqttNumber number = 0;    // of a QoS 1 publish or a fence
  std::uint8_t reason = 0;  // MQTT 5 reason code; 0x80 and above is a refusal. Always 0 in 3.1.1
};

// Clean session always (v5: clean start, expiry 0). Used on the loop only. No callback comes after close() or from
// within a call.
class MqttConnection {
 public:
  struct Handlers {
    std::function<void(MqttMessage)> on_message;
    // The broker has this one, and with it all of QoS 0 and all fences with a smaller number.
    std::function<void(MqttAnswer)> on_answer;
    std::function<void()> on_writable;     // after a call had said resource_exhausted: there is room again
    std::function<void(Error)> on_closed;  // once, when the connection is lost; not after close()
  };

  MqttConnection(boost::asio::io_context& context, WorkerPool& pool, MqttOptions options, Handlers handlers);
  ~MqttConnection();
  MqttConnection(const MqttConnection&) = delete;
  MqttConnection& operator=(const MqttConnection&) = delete;

  // Until CONNACK. A refusal names the broker's reason in words: unauthenticated, permission_denied, unavailable, ...
  [[nodiscard]] boost::asio::awaitable<Result<>> connect();
  // Until SUBACK. A refused filter is permission_denied.
  [[nodiscard]] boost::asio::awaitable<Result<>> subscribe(std::vector<std::string> filters, std::uint8_t qos);
  // resource_exhausted: the window or the buffer is full and nothing was taken; wait for on_writable. invalid_argument:
  // this one can never go, its topic is none or it is larger than the broker takes.
  [[nodiscard]] Result<MqttNumber> publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                           bool retain);
  // Asks for an answer behind everything published so far, by a repeated SUBSCRIBE of the first filter: QoS 0 by itself
  // confirms nothing. failed_precondition before the first subscribe().
  [[nodiscard]] Result<MqttNumber> fence();
  // Sends what is buffered as far as `patience` goes, then DISCONNECT (v5 with `reason`, e.g. 0x04: with the will) and
  // closes.
  [[nodiscard]] boost::asio::awaitable<void> disconnect(std::uint8_t reason, std::chrono::milliseconds patience);
  void close();  // at once, without DISCONNECT: the broker publishes the will

  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::size_t in_flight() const;  // publishes and fences without an answer
  [[nodiscard]] std::size_t buffered() const;   // bytes, as far as known

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Name and version of the library, and whether it has TLS: for `doctor`. unimplemented: it cannot be loaded.
[[nodiscard]] Result<std::string> mqtt_library();

}  // namespace omnitide::io
