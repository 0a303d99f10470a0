// The loop's side of a connection: readiness of the socket, the clock, and what the library's callbacks noted.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "agent/io/mqtt_impl.hpp"
#include "agent/io/mqtt_tcp.hpp"
#include "agent/io/mqtt_words.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using std::chrono::steady_clock;
using namespace std::chrono_literals;

bool MqttConnection::Impl::shaking_hands() const {
  if (!tls_ || !handle_) return false;
  auto* ssl = static_cast<SSL*>(mosquitto_ssl_get(handle_.get()));
  return ssl != nullptr && SSL_is_init_finished(ssl) == 0;
}

// The library says yes all through the handshake, since CONNECT waits: that would be a busy loop.
bool MqttConnection::Impl::wants_write() const {
  if (!handle_) return false;
  if (shaking_hands()) return SSL_want_write(static_cast<SSL*>(mosquitto_ssl_get(handle_.get())));
  return mosquitto_want_write(handle_.get());
}

void MqttConnection::Impl::arm() {
  watch(false);
  if (wants_write()) watch(true);
}

void MqttConnection::Impl::watch(bool write) {
  bool& armed = write ? writing_ : reading_;
  if (armed || !watched_.is_open()) return;
  armed = true;
  const auto what = write ? asio::posix::stream_descriptor::wait_write : asio::posix::stream_descriptor::wait_read;
  watched_.async_wait(what,
                      [self = shared_from_this(), write, attempt = attempt_](const boost::system::error_code& error) {
                        if (attempt != self->attempt_) return;
                        (write ? self->writing_ : self->reading_) = false;
                        if (!error) self->on_event(write);
                      });
}

void MqttConnection::Impl::on_event(bool write) {
  if (said_goodbye_ && socket() < 0) return drain();
  if (!handle_) return;
  if (!write) last_read_ = steady_clock::now();
  if (!write && !first_bytes_are_mqtt()) {
    return lose(fail(Code::data_loss, "what answers there is not MQTT")
                    .with_hint("is this an MQTT broker's port, and with TLS on both sides or on none?"));
  }
  errno = 0;
  const int code = drive(write);
  settle(code, errno);
}

int MqttConnection::Impl::drive(bool write) {
  mosquitto* handle = handle_.get();
  // Until CONNACK a broker that refuses our certificate may have said so, and reset the connection: first listen.
  const bool listens_first = shaking_hands() || (tls_ && state_ == State::connecting);
  if (!listens_first) return write ? mosquitto_loop_write(handle, 1) : mosquitto_loop_read(handle, 1);
  // Either call may be the one that goes on with the handshake, by version of the library.
  const bool began = shaking_hands();
  int code = mosquitto_loop_read(handle, 1);
  if (code == 0 && began && !shaking_hands()) code = mosquitto_loop_read(handle, 1);
  if (code == 0 && socket() >= 0) code = mosquitto_loop_write(handle, 1);
  // 2.0.11 takes a reset within the handshake for "try again", for ever.
  char byte = 0;
  if (code == 0 && shaking_hands()) {
    const ssize_t got = ::recv(watched_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) code = MOSQ_ERR_CONN_LOST;
  }
  return code;
}

// An HTTP server's words would be taken for a packet whose rest is long in coming.
bool MqttConnection::Impl::first_bytes_are_mqtt() {
  if (seen_mqtt_ || tls_) return true;
  unsigned char first = 0;
  if (::recv(watched_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1) return true;
  seen_mqtt_ = true;
  return first == 0x20;  // CONNACK
}

// The library bounds no packet that comes in, and says nothing until one is whole. So: bytes without one.
bool MqttConnection::Impl::takes_too_much() {
  if (state_ == State::connecting) return false;
  const std::uint64_t now = bytes_received(watched_.native_handle());
  if (std::exchange(progress_, false) || !quiet_since_) {
    quiet_since_ = now;
    return message_bytes_ > options_.max_message;
  }
  return now - *quiet_since_ > options_.max_message + static_cast<std::size_t>(64U << 10U);
}

void MqttConnection::Impl::settle(int library_code, int error_number) {
  if (state_ == State::connecting && connack_ && *connack_ == 0) {
    state_ = State::open;
    mosquitto_log_callback_set(handle_.get(), nullptr);  // it would make a line of each packet
    if (tls_) forget_trust(*tls_);
    tick();
    wake();
  }
  if (library_code != 0 || left_ || (connack_ && *connack_ != 0)) return lose(cause(library_code, error_number));
  if (takes_too_much()) {
    return lose(fail(Code::resource_exhausted,
                     fmt::format("the broker sends a packet of more than {} bytes", options_.max_message)));
  }
  if (!wants_write()) {
    buffered_ = 0;
    if (state_ == State::leaving) wake();
  }
  if (suback_) wake();
  deliver();
  if (handle_) arm();
}

// Handlers may close the connection: nothing more is handed on then.
void MqttConnection::Impl::deliver() {
  const Self self = shared_from_this();
  const std::vector<MqttAnswer> answers = std::exchange(answers_, {});
  std::vector<MqttMessage> messages = std::exchange(messages_, {});
  message_bytes_ = 0;
  for (const MqttAnswer& answer : answers) {
    if (state_ == State::open && handlers_.on_answer) handlers_.on_answer(answer);
  }
  for (MqttMessage& message : messages) {
    if (state_ == State::open && handlers_.on_message) handlers_.on_message(std::move(message));
  }
  if (state_ != State::open || !wants_room_ || !has_room()) return;
  wants_room_ = false;
  if (handlers_.on_writable) handlers_.on_writable();
}

Error MqttConnection::Impl::cause(int library_code, int error_number) const {
  if (connack_ && *connack_ != 0) return connection_refused(static_cast<std::uint8_t>(*connack_));
  if (left_ && *left_ >= 0x80) return ended_by_broker(static_cast<std::uint8_t>(*left_));
  const int code = library_code != 0 || !left_ ? library_code : *left_;
  const bool by_system = code == MOSQ_ERR_ERRNO && error_number != 0 && error_number != EPROTO &&
                         error_number != EPIPE && error_number != ECONNRESET;
  if (tls_ && (tls_->alert >= 0 || tls_->verify_error != 0 || (state_ == State::connecting && !by_system)))
    return explain_tls(*tls_, log_);
  return connection_lost(code, error_number);
}

void MqttConnection::Impl::lose(Error error) {
  const Self self = shared_from_this();
  if (state_ == State::closed) return;
  const bool open = state_ == State::open;
  shut();
  if (!open) {
    if (!failed_) failed_ = std::move(error);
    return wake();
  }
  state_ = State::closed;
  wake();
  if (handlers_.on_closed) handlers_.on_closed(std::move(error));
}

// From within a call of the owner's.
void MqttConnection::Impl::lose_later(Error error) {
  asio::post(context_,
             [self = shared_from_this(), error = std::move(error)]() mutable { self->lose(std::move(error)); });
}

void MqttConnection::Impl::shut() {
  handle_.reset();
  boost::system::error_code ignored;
  watched_.close(ignored);
  ++attempt_;
  ticker_.cancel();
  pending_.clear();
  buffered_ = 0;
}

void MqttConnection::Impl::close() {
  state_ = State::closed;
  shut();
  wake();
}

// Once a second or oftener: ping, and what did not come in time.
void MqttConnection::Impl::tick() {
  const auto period =
      std::min<std::chrono::milliseconds>(1s, std::chrono::milliseconds(125) * std::max(keep_alive_, 1));
  ticker_.expires_after(period);
  ticker_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || !self->handle_ || self->state_ != State::open) return;
    const auto now = steady_clock::now();
    errno = 0;
    const int code = mosquitto_loop_misc(self->handle_.get());
    if (code != 0) return self->settle(code, errno);
    if (self->keep_alive_ > 0 && now - self->last_read_ > std::chrono::milliseconds(1'500) * self->keep_alive_)
      return self->lose(fail(Code::deadline_exceeded, fmt::format("no word from the broker for one and a half times "
                                                                  "the keep-alive of {} s",
                                                                  self->keep_alive_)));
    if (!self->pending_.empty()) {
      const Pending& first = self->pending_.front();
      const SteadyTime since = first.passed ? first.sent : std::max(first.sent, self->last_answer_);
      if (now - since > self->options_.answer_timeout)
        return self->lose(fail(Code::deadline_exceeded, "the broker did not acknowledge a message in time"));
    }
    if (self->wants_write()) self->watch(true);
    self->tick();
  });
}

// After DISCONNECT: what the broker still sends is read away, since closing over it would reset the connection and with
// it what the broker has not read.
void MqttConnection::Impl::drain() {
  std::array<char, 4'096> scratch{};
  ssize_t got = 0;
  do {
    got = ::recv(watched_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
  } while (got > 0);
  if (got == 0 || errno != EAGAIN) {
    peer_ended_ = true;
    return wake();
  }
  watch(false);
}

}  // namespace omnitide::io
