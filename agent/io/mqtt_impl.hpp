// The inside of MqttConnection: a handle of libmosquitto, a watched socket, two timers. For mqtt*.cpp only.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/io/mqtt.hpp"
#include "agent/io/mqtt_library.hpp"
#include "agent/io/mqtt_tls.hpp"

namespace omnitide::io {

// The library is not told of the loop: it is called when its socket is ready and once a second. Its callbacks only note
// what came; the noted is handed on after the library has returned, so that handlers may do as they please.
class MqttConnection::Impl : public std::enable_shared_from_this<Impl> {
 public:
  using Self = std::shared_ptr<Impl>;
  Impl(boost::asio::io_context& context, WorkerPool& pool, MqttOptions options, Handlers handlers);

  [[nodiscard]] static boost::asio::awaitable<Result<>> connect(Self self);
  [[nodiscard]] static boost::asio::awaitable<Result<>> subscribe(Self self, std::vector<std::string> filters,
                                                                  std::uint8_t qos);
  [[nodiscard]] static boost::asio::awaitable<void> disconnect(Self self, std::uint8_t reason,
                                                               std::chrono::milliseconds patience);
  [[nodiscard]] Result<MqttNumber> publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                           bool retain);
  [[nodiscard]] Result<MqttNumber> fence();
  void close();

  [[nodiscard]] bool connected() const { return state_ == State::open; }
  [[nodiscard]] std::size_t in_flight() const { return pending_.size(); }
  [[nodiscard]] std::size_t buffered() const { return buffered_; }

 private:
  enum class State : std::uint8_t { idle, connecting, open, leaving, closed };
  struct Free {
    void operator()(mosquitto* handle) const { mosquitto_destroy(handle); }
  };
  // Made off the loop.
  struct Prepared {
    std::vector<std::string> addresses;  // numeric, in the resolver's order
    std::unique_ptr<MqttTlsContext> tls;
  };
  struct Pending {
    MqttNumber number = 0;
    int id = 0;  // packet identifier
    SteadyTime sent;
    bool passed = false;  // a later one has its answer already
  };

  [[nodiscard]] static Result<Prepared> prepare(const MqttOptions& options);
  [[nodiscard]] static boost::asio::awaitable<Result<>> try_connect(Self self, SteadyTime deadline);
  [[nodiscard]] static boost::asio::awaitable<Result<>> open_socket(Self self, std::vector<std::string> addresses,
                                                                    SteadyTime deadline);
  [[nodiscard]] static boost::asio::awaitable<void> pause(Self self, SteadyTime deadline);  // until wake()
  void wake() { waker_.cancel(); }
  [[nodiscard]] Result<> make_handle(std::unique_ptr<MqttTlsContext> tls);
  [[nodiscard]] Result<> set_options();
  [[nodiscard]] Result<> set_connect_properties();
  [[nodiscard]] Result<> begin(const std::string& address);
  [[nodiscard]] Result<> check_socket() const;

  // The loop's side.
  void arm();
  void watch(bool write);
  void on_event(bool write);
  [[nodiscard]] int drive(bool write);
  void settle(int library_code, int error_number);
  void deliver();
  void lose(Error error);
  void lose_later(Error error);
  void shut();
  void tick();
  [[nodiscard]] Error cause(int library_code, int error_number) const;
  [[nodiscard]] bool first_bytes_are_mqtt();
  [[nodiscard]] bool takes_too_much();
  [[nodiscard]] bool shaking_hands() const;
  [[nodiscard]] bool wants_write() const;
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] int socket() const { return handle_ ? mosquitto_socket(handle_.get()) : -1; }
  [[nodiscard]] Result<MqttNumber> sent(int library_code, int id, std::size_t bytes, bool answered);
  void cork();
  void drain();

  // The library's callbacks.
  static void on_connect(mosquitto*, void* self, int reason, int flags, const mosquitto_property* properties);
  static void on_disconnect(mosquitto*, void* self, int reason, const mosquitto_property*);
  static void on_publish(mosquitto*, void* self, int id, int reason, const mosquitto_property*);
  static void on_subscribe(mosquitto*, void* self, int id, int count, const int* granted, const mosquitto_property*);
  static void on_message(mosquitto*, void* self, const mosquitto_message* message, const mosquitto_property*);
  static void on_log(mosquitto*, void* self, int level, const char* line);
  void answered(int id, std::uint8_t reason);

  boost::asio::io_context& context_;
  WorkerPool& pool_;
  MqttOptions options_;
  Handlers handlers_;
  State state_ = State::idle;
  std::unique_ptr<MqttTlsContext> tls_;  // before handle_: sessions of it end first
  std::unique_ptr<mosquitto, Free> handle_;
  // A duplicate of the library's socket, which the library closes when it likes.
  boost::asio::posix::stream_descriptor watched_;
  boost::asio::steady_timer waker_, ticker_;
  std::uint64_t attempt_ = 0;  // waits of an earlier socket are ignored
  bool reading_ = false, writing_ = false, corked_ = false, seen_mqtt_ = false, socket_ready_ = false;

  std::size_t window_ = 0;
  int keep_alive_ = 0;  // seconds; the broker may have changed it
  MqttNumber last_number_ = 0;
  std::deque<Pending> pending_;
  std::size_t buffered_ = 0;
  bool wants_room_ = false;
  std::string topic_, first_filter_;
  std::uint8_t first_qos_ = 0;
  SteadyTime last_read_, last_answer_;
  std::optional<std::uint64_t> quiet_since_;  // bytes had come when the last whole packet had

  // Noted by callbacks.
  std::optional<int> connack_, left_;  // codes of CONNACK and of the end
  int subscribe_id_ = 0;
  std::optional<std::vector<int>> suback_;
  std::vector<MqttAnswer> answers_;
  std::vector<MqttMessage> messages_;
  std::size_t message_bytes_ = 0;
  std::string log_;
  bool progress_ = false;
  std::optional<Error> failed_;  // while connecting or leaving
  bool said_goodbye_ = false, peer_ended_ = false;
};

}  // namespace omnitide::io
