// An MQTT broker of 3.1.1 and 5 on loopback, on a thread of its own, that does what its rules say: also what no good
// broker does. It records each publish before it acknowledges it, and passes nothing on to subscribers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/base/fd.hpp"
#include "tests/harness/mqtt_wire.hpp"

namespace omnitide::test {

// What came, in order. `connection` counts CONNECTs from 1.
struct SeenConnect {
  std::size_t connection = 0;
  unsigned version = 0;  // 4: 3.1.1, 5
  std::string client_id, username, password;
  bool clean = false, has_will = false, will_retain = false;
  std::uint8_t will_qos = 0;
  std::string will_topic, will_payload;
  std::uint16_t keep_alive = 0;
  wire::Properties properties;
};
struct SeenPublish {
  std::size_t connection = 0;
  std::string topic, payload;
  std::uint8_t qos = 0;
  bool retain = false, duplicate = false;
  std::uint16_t id = 0;
  std::chrono::steady_clock::time_point at{};
};
struct SeenSubscribe {
  std::size_t connection = 0;
  std::vector<std::string> filters;
  std::uint8_t options = 0;         // of the first
  std::size_t after_publishes = 0;  // that had come before
};
struct SeenDisconnect {
  std::size_t connection = 0;
  std::uint8_t reason = 0;
  std::size_t after_publishes = 0;
};
struct SeenByBroker {
  std::vector<SeenConnect> connects;
  std::vector<SeenPublish> publishes;
  std::vector<SeenSubscribe> subscribes;
  std::vector<SeenDisconnect> disconnects;
  std::size_t publish_count = 0, pings = 0;
  std::size_t open = 0;  // connections now
};

struct BrokerRules {
  bool accept = true;  // false: the connection is closed at once
  bool read = true;    // false: takes nothing from its connections, so that the peer's buffers fill
  bool answer_connect = true, answer_subscribe = true, answer_ping = true;
  std::uint8_t connack = 0;        // code of the version in use
  std::string connack_properties;  // of MQTT 5, encoded, without their length
  std::string instead_of_connack;  // these bytes, when not empty
  std::uint8_t suback = 0;         // 0: the quality asked for
  // Asked for each publish of QoS 1, after it was recorded: the reason code of its PUBACK (3.1.1 has none), or -1: no
  // answer. Runs on the broker's thread. None: 0 always.
  std::function<int(const SeenPublish&)> puback;
  std::size_t reset_after_publishes =
      0;                       // of one connection: then it is reset, without an answer to the last; 0: never
  std::size_t dribble = 0;     // bytes of one write, one write a millisecond; 0: all at once
  bool keep_publishes = true;  // false: they are only counted, for very many
};

class ScriptedBroker {
 public:
  explicit ScriptedBroker(BrokerRules rules = {}, std::uint16_t port = 0);
  ~ScriptedBroker();
  ScriptedBroker(const ScriptedBroker&) = delete;
  ScriptedBroker& operator=(const ScriptedBroker&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  void change(const std::function<void(BrokerRules&)>& how);
  [[nodiscard]] SeenByBroker seen() const;
  void forget();  // what was seen, but not the count of connections
  // False: `ready` did not become true in time.
  bool wait(const std::function<bool(const SeenByBroker&)>& ready,
            std::chrono::milliseconds longest = std::chrono::seconds(10)) const;

  // To all connections that have had their CONNACK.
  void publish(std::string_view topic, std::string_view payload, std::uint8_t qos = 0, bool retain = false);
  void send(std::string_view bytes);
  void disconnect(std::uint8_t reason);  // DISCONNECT of MQTT 5
  void cut(bool reset = true);           // closes all connections: with a reset, or with a FIN

 private:
  struct Client {
    UniqueFd fd;
    std::size_t number = 0;  // 0 until CONNECT
    unsigned version = 4;
    std::size_t publishes = 0;
    std::string in, out;
    bool gone = false;
  };

  void run();
  void accept_client();
  void receive(Client& client);
  void flush(Client& client);
  void handle(Client& client, const wire::Packet& packet);
  void on_connect(Client& client, std::string_view body);
  void on_publish(Client& client, const wire::Packet& packet);
  void on_subscribe(Client& client, std::string_view body);
  void end(Client& client, bool reset);
  void wake();

  UniqueFd listener_, wake_read_, wake_write_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  BrokerRules rules_;
  SeenByBroker seen_;
  std::size_t connections_ = 0;
  std::list<Client> clients_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace omnitide::test
