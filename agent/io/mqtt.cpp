#include "agent/io/mqtt.hpp"

#include <fmt/format.h>
#include <mqtt_protocol.h>
#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "agent/io/mqtt_impl.hpp"
#include "agent/io/mqtt_tcp.hpp"
#include "agent/io/mqtt_words.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

// Packet identifiers have 16 bits and are given in turn, also to QoS 0: the oldest that waits must not be met again.
constexpr MqttNumber kMostApart = 60'000;
constexpr std::size_t kPacketOverhead = 16;

}  // namespace

MqttConnection::Impl::Impl(asio::io_context& context, WorkerPool& pool, MqttOptions options, Handlers handlers)
    : context_(context),
      pool_(pool),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      watched_(context),
      waker_(context),
      ticker_(context) {}

bool MqttConnection::Impl::has_room() const {
  return pending_.size() < window_ && buffered_ <= options_.max_buffered / 2 &&
         (pending_.empty() || last_number_ - pending_.front().number < kMostApart);
}

// All messages of one turn of the loop leave in as few segments as they fit.
void MqttConnection::Impl::cork() {
  if (corked_ || tls_) return;
  corked_ = true;
  set_cork(socket(), true);
  asio::post(context_, [self = shared_from_this()] {
    self->corked_ = false;
    if (self->socket() >= 0) set_cork(self->socket(), false);
  });
}

Result<MqttNumber> MqttConnection::Impl::sent(int library_code, int id, std::size_t bytes, bool answered) {
  const int error_number = errno;
  switch (library_code) {
    case MOSQ_ERR_SUCCESS: break;
    case MOSQ_ERR_INVAL:
    case MOSQ_ERR_MALFORMED_UTF8: return fail(Code::invalid_argument, "the topic is not one to publish to");
    case MOSQ_ERR_PAYLOAD_SIZE:
    case MOSQ_ERR_OVERSIZE_PACKET:
      return fail(Code::invalid_argument, fmt::format("{} bytes are more than the broker takes", bytes));
    case MOSQ_ERR_QOS_NOT_SUPPORTED:
      lose_later(ended_by_broker(0x9B));
      return fail(Code::failed_precondition, "the broker has no QoS 1");
    default: {
      Error error = cause(library_code, error_number);
      lose_later(error);
      return error;
    }
  }
  const MqttNumber number = ++last_number_;
  if (answered) pending_.push_back({.number = number, .id = id, .sent = steady_clock::now()});
  buffered_ = wants_write() ? buffered_ + bytes + kPacketOverhead : 0;
  if (buffered_ > 0) watch(true);
  return number;
}

Result<MqttNumber> MqttConnection::Impl::publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                                 bool retain) {
  if (state_ != State::open || socket() < 0) return fail(Code::unavailable, "not connected");
  const std::size_t bytes = topic.size() + payload.size();
  const bool full = (qos > 0 && pending_.size() >= window_) ||
                    (buffered_ > 0 && buffered_ + bytes > options_.max_buffered) ||
                    (!pending_.empty() && last_number_ - pending_.front().number >= kMostApart);
  if (full) {
    wants_room_ = true;
    return fail(Code::resource_exhausted, "as much as allowed is on its way");
  }
  if (payload.size() > MQTT_MAX_PAYLOAD) return sent(MOSQ_ERR_PAYLOAD_SIZE, 0, bytes, false);
  topic_.assign(topic);
  cork();
  int id = 0;
  errno = 0;
  const int code = mosquitto_publish_v5(handle_.get(), &id, topic_.c_str(), static_cast<int>(payload.size()),
                                        payload.data(), qos, retain, nullptr);
  return sent(code, id, bytes, qos > 0);
}

Result<MqttNumber> MqttConnection::Impl::fence() {
  if (state_ != State::open || socket() < 0) return fail(Code::unavailable, "not connected");
  if (first_filter_.empty()) return fail(Code::failed_precondition, "nothing is subscribed to");
  if (pending_.size() >= window_) {
    wants_room_ = true;
    return fail(Code::resource_exhausted, "as much as allowed is on its way");
  }
  const bool v5 = options_.version == MqttVersion::v5;
  cork();
  int id = 0;
  errno = 0;
  const int code = mosquitto_subscribe_v5(handle_.get(), &id, first_filter_.c_str(), first_qos_,
                                          v5 ? MQTT_SUB_OPT_SEND_RETAIN_NEVER : 0, nullptr);
  return sent(code, id, first_filter_.size(), true);
}

asio::awaitable<Result<>> MqttConnection::Impl::subscribe(Self self, std::vector<std::string> filters,
                                                          std::uint8_t qos) {
  if (self->state_ != State::open || self->socket() < 0) co_return fail(Code::unavailable, "not connected");
  if (filters.empty() || self->subscribe_id_ != 0)
    co_return fail(Code::failed_precondition, "one subscription at a time, and not an empty one");
  std::vector<char*> names;
  for (std::string& filter : filters)
    names.push_back(filter.data());
  int id = 0;
  errno = 0;
  const int code = mosquitto_subscribe_multiple(self->handle_.get(), &id, static_cast<int>(names.size()), names.data(),
                                                qos, 0, nullptr);
  if (Result<MqttNumber> asked = self->sent(code, id, 0, false); asked.has_error()) {
    if (asked.error().code == Code::invalid_argument)
      co_return fail(Code::invalid_argument, "a topic filter is not valid");
    co_return std::move(asked).error();
  }
  self->subscribe_id_ = id;
  self->suback_.reset();
  const SteadyTime deadline = steady_clock::now() + self->options_.connect_timeout;
  while (!self->suback_ && self->state_ == State::open && steady_clock::now() < deadline)
    co_await pause(self, deadline);
  self->subscribe_id_ = 0;
  if (self->state_ != State::open) co_return fail(Code::unavailable, "the connection ended before SUBACK");
  if (!self->suback_) co_return fail(Code::deadline_exceeded, "the broker did not answer SUBSCRIBE in time");
  const std::vector<int> granted = std::move(*self->suback_);
  self->suback_.reset();
  for (std::size_t i = 0; i < granted.size() && i < filters.size(); ++i) {
    if (granted[i] < 0x80) continue;
    co_return fail(Code::permission_denied, fmt::format("the broker refuses the subscription to {}: {}", filters[i],
                                                        mqtt_reason(static_cast<std::uint8_t>(granted[i]))))
        .with_hint("let the broker's access list admit this client");
  }
  self->first_filter_ = filters.front();
  self->first_qos_ = qos;
  co_return Result<>{};
}

asio::awaitable<void> MqttConnection::Impl::disconnect(Self self, std::uint8_t reason,
                                                       std::chrono::milliseconds patience) {
  if (self->state_ != State::open) {
    self->close();
    co_return;
  }
  self->state_ = State::leaving;
  const SteadyTime deadline = steady_clock::now() + patience;
  const auto waits = [&self, deadline] { return !self->failed_ && self->handle_ && steady_clock::now() < deadline; };
  while (waits() && self->wants_write())
    co_await pause(self, deadline);
  if (!self->failed_ && self->handle_) {
    self->said_goodbye_ = true;
    (void)mosquitto_disconnect_v5(self->handle_.get(), reason, nullptr);
    while (waits() && self->socket() >= 0 && self->wants_write())
      co_await pause(self, deadline);
  }
  if (!self->failed_ && self->handle_ && self->socket() < 0) {
    (void)::shutdown(self->watched_.native_handle(), SHUT_WR);
    self->drain();
    while (waits() && !self->peer_ended_)
      co_await pause(self, deadline);
  }
  self->close();
}

MqttConnection::MqttConnection(asio::io_context& context, WorkerPool& pool, MqttOptions options, Handlers handlers)
    : impl_(std::make_shared<Impl>(context, pool, std::move(options), std::move(handlers))) {}
MqttConnection::~MqttConnection() { impl_->close(); }

asio::awaitable<Result<>> MqttConnection::connect() { return Impl::connect(impl_); }
asio::awaitable<Result<>> MqttConnection::subscribe(std::vector<std::string> filters, std::uint8_t qos) {
  return Impl::subscribe(impl_, std::move(filters), qos);
}
Result<MqttNumber> MqttConnection::publish(std::string_view topic, std::string_view payload, std::uint8_t qos,
                                           bool retain) {
  return impl_->publish(topic, payload, qos, retain);
}
Result<MqttNumber> MqttConnection::fence() { return impl_->fence(); }
asio::awaitable<void> MqttConnection::disconnect(std::uint8_t reason, std::chrono::milliseconds patience) {
  return Impl::disconnect(impl_, reason, patience);
}
void MqttConnection::close() { impl_->close(); }
bool MqttConnection::connected() const { return impl_->connected(); }
std::size_t MqttConnection::in_flight() const { return impl_->in_flight(); }
std::size_t MqttConnection::buffered() const { return impl_->buffered(); }

}  // namespace omnitide::io
