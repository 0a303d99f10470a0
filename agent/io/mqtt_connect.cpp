// From options to CONNACK: look-up and certificates on a worker, then socket, TLS and CONNECT on the loop.
#include <fcntl.h>
#include <fmt/format.h>
#include <mqtt_protocol.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/mqtt_impl.hpp"
#include "agent/io/mqtt_words.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kMostAddresses = 8;

// What a broker sends is little: a small buffer bounds what one read may bring.
constexpr int kReceiveBuffer = 64 << 10;

std::string endpoint(const MqttOptions& options) {
  const bool six = options.host.find(':') != std::string::npos;
  return six ? fmt::format("[{}]:{}", options.host, options.port) : fmt::format("{}:{}", options.host, options.port);
}

Result<std::vector<std::string>> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (problem != 0) return fail(Code::unavailable, "cannot look up " + host + ": " + ::gai_strerror(problem));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, ::freeaddrinfo);
  std::vector<std::string> out;
  for (const addrinfo* entry = found; entry != nullptr && out.size() < kMostAddresses; entry = entry->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0)
      out.emplace_back(text.data());
  }
  if (out.empty()) return fail(Code::unavailable, host + " has no address");
  return out;
}

}  // namespace

Result<MqttConnection::Impl::Prepared> MqttConnection::Impl::prepare(const MqttOptions& options) {
  Prepared out;
  if (Result<> loaded = load_mosquitto(); loaded.has_error()) return std::move(loaded).error();
  Result<std::vector<std::string>> addresses = look_up(options.host);
  if (addresses.has_error()) return std::move(addresses).error();
  out.addresses = std::move(*addresses);
  if (!options.tls.enabled) return out;
  Result<std::unique_ptr<MqttTlsContext>> tls = make_mqtt_tls(options.tls, options.host);
  if (tls.has_error()) return std::move(tls).error();
  out.tls = std::move(*tls);
  return out;
}

asio::awaitable<void> MqttConnection::Impl::pause(Self self, SteadyTime deadline) {
  self->waker_.expires_at(deadline);
  (void)co_await self->waker_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<Result<>> MqttConnection::Impl::connect(Self self) {
  if (self->state_ != State::idle) co_return fail(Code::failed_precondition, "this connection was used before");
  self->state_ = State::connecting;
  Result<> connected = co_await try_connect(self, steady_clock::now() + self->options_.connect_timeout);
  if (self->state_ == State::closed) co_return fail(Code::aborted, "the connection was closed");
  if (connected.has_error()) {
    self->close();
    co_return std::move(connected).error().within("cannot connect to " + endpoint(self->options_));
  }
  co_return Result<>{};
}

asio::awaitable<Result<>> MqttConnection::Impl::try_connect(Self self, SteadyTime deadline) {
  std::function<Result<Prepared>()> job = [options = self->options_] { return prepare(options); };
  Result<Prepared> prepared = co_await self->pool_.run_for<Prepared>(std::move(job), self->options_.connect_timeout);
  if (self->state_ == State::closed) co_return Result<>{};
  if (prepared.has_error()) {
    if (prepared.error().code != Code::deadline_exceeded) co_return std::move(prepared).error();
    co_return fail(Code::deadline_exceeded, "the name look-up did not end in time");
  }
  if (Result<> made = self->make_handle(std::move(prepared->tls)); made.has_error()) co_return made;
  if (Result<> opened = co_await open_socket(self, std::move(prepared->addresses), deadline); opened.has_error())
    co_return opened;
  while (self->state_ == State::connecting && !self->failed_ && steady_clock::now() < deadline)
    co_await pause(self, deadline);
  if (self->failed_) co_return *self->failed_;
  if (self->state_ == State::connecting) {
    co_return fail(Code::deadline_exceeded, self->shaking_hands() ? "the TLS handshake did not end in time"
                                                                  : "the broker did not answer CONNECT in time");
  }
  co_return Result<>{};
}

// One address after the other, each with its share of the time that is left.
asio::awaitable<Result<>> MqttConnection::Impl::open_socket(Self self, std::vector<std::string> addresses,
                                                            SteadyTime deadline) {
  Error last = fail(Code::unavailable, "no address");
  for (std::size_t i = 0; i < addresses.size() && steady_clock::now() < deadline; ++i) {
    const auto share = (deadline - steady_clock::now()) / static_cast<int>(addresses.size() - i);
    const SteadyTime until = i + 1 == addresses.size() ? deadline : steady_clock::now() + share;
    Result<> begun = self->begin(addresses[i]);
    if (begun.has_value()) {
      while (!self->socket_ready_ && self->state_ == State::connecting && steady_clock::now() < until)
        co_await pause(self, until);
      if (self->state_ != State::connecting) co_return Result<>{};
      begun = self->check_socket();
    }
    if (begun.has_value()) {
      self->last_read_ = self->last_answer_ = steady_clock::now();
      self->arm();
      self->on_event(true);
      co_return Result<>{};
    }
    last = std::move(begun).error();
    if (addresses.size() > 1 || addresses[i] != self->options_.host) last = std::move(last).within(addresses[i]);
  }
  co_return last;
}

Result<> MqttConnection::Impl::make_handle(std::unique_ptr<MqttTlsContext> tls) {
  tls_ = std::move(tls);
  const char* id = options_.client_id.empty() ? nullptr : options_.client_id.c_str();
  handle_.reset(mosquitto_new(id, true, this));
  if (!handle_) return fail_errno(errno, "the client id is not accepted");
  mosquitto* handle = handle_.get();
  mosquitto_connect_v5_callback_set(handle, on_connect);
  mosquitto_disconnect_v5_callback_set(handle, on_disconnect);
  mosquitto_publish_v5_callback_set(handle, on_publish);
  mosquitto_subscribe_v5_callback_set(handle, on_subscribe);
  mosquitto_message_v5_callback_set(handle, on_message);
  mosquitto_log_callback_set(handle, on_log);
  if (Result<> set = set_options(); set.has_error()) return set;
  return set_connect_properties();
}

Result<> MqttConnection::Impl::set_options() {
  mosquitto* handle = handle_.get();
  const int version = options_.version == MqttVersion::v5 ? MQTT_PROTOCOL_V5 : MQTT_PROTOCOL_V311;
  const auto window = std::min<std::size_t>(options_.max_in_flight, 65'535);
  int code = mosquitto_int_option(handle, MOSQ_OPT_PROTOCOL_VERSION, version);
  if (code == 0) code = mosquitto_int_option(handle, MOSQ_OPT_SEND_MAXIMUM, static_cast<int>(window));
  if (code == 0 && !options_.username.empty()) {
    const char* password = options_.password.empty() ? nullptr : options_.password.c_str();
    code = mosquitto_username_pw_set(handle, options_.username.c_str(), password);
  }
  if (code == 0 && options_.will) {
    const MqttMessage& will = *options_.will;
    code = mosquitto_will_set_v5(handle, will.topic.c_str(), static_cast<int>(will.payload.size()), will.payload.data(),
                                 will.qos, will.retain, nullptr);
  }
  if (code == 0 && tls_) {
    code = mosquitto_int_option(handle, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    if (code == 0) code = mosquitto_void_option(handle, MOSQ_OPT_SSL_CTX, tls_->context.get());
    if (code == MOSQ_ERR_NOT_SUPPORTED) return fail(Code::unimplemented, "this libmosquitto was built without TLS");
  }
  if (code != 0) return fail(Code::invalid_argument, fmt::format("mqtt options: {}", mosquitto_strerror(code)));
  return {};
}

// Of MQTT 5: a good broker sends nothing larger. The library takes properties only by its blocking connect, which keeps
// them for every later one and then refuses this port before it does anything.
Result<> MqttConnection::Impl::set_connect_properties() {
  if (options_.version != MqttVersion::v5) return {};
  mosquitto_property* properties = nullptr;
  const auto most = static_cast<std::uint32_t>(std::min<std::size_t>(options_.max_message + 1'024, 0xFFFF'FFFFU));
  if (mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, most) != 0)
    return fail(Code::resource_exhausted, "no memory for CONNECT");
  (void)mosquitto_connect_bind_v5(handle_.get(), "0.0.0.0", -1, 0, nullptr, properties);
  mosquitto_property_free_all(&properties);
  return {};
}

Result<> MqttConnection::Impl::begin(const std::string& address) {
  boost::system::error_code ignored;
  watched_.close(ignored);
  ++attempt_;
  reading_ = writing_ = socket_ready_ = false;
  // Does not block: the address is numeric, and the library's asynchronous connect only begins.
  keep_alive_ = static_cast<int>(options_.keep_alive.count());
  errno = 0;
  const int code = mosquitto_connect_async(handle_.get(), address.c_str(), options_.port, keep_alive_);
  if (code != 0) return cause(code, errno);
  const int fd = socket();
  if (fd < 0) return fail(Code::unavailable, "no socket");
  (void)::fcntl(fd, F_SETFD, FD_CLOEXEC);
  (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return fail_errno(errno, "cannot watch the socket");
  watched_.assign(copy, ignored);
  watched_.async_wait(asio::posix::stream_descriptor::wait_write,
                      [self = shared_from_this(), attempt = attempt_](const boost::system::error_code& error) {
                        if (error || attempt != self->attempt_) return;
                        self->socket_ready_ = true;
                        self->wake();
                      });
  return {};
}

Result<> MqttConnection::Impl::check_socket() const {
  if (!socket_ready_) return fail(Code::deadline_exceeded, "no TCP connection in time");
  const int fd = const_cast<asio::posix::stream_descriptor&>(watched_).native_handle();
  int problem = 0;
  socklen_t size = sizeof problem;
  (void)::getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size);
  sockaddr_storage peer{};
  size = sizeof peer;
  // The library may have met the error first, by its write of the first bytes.
  if (problem == 0 && ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) problem = ECONNREFUSED;
  if (problem == 0) return {};
  Error out = fail_errno(problem, "connect");
  out.code = Code::unavailable;
  return out;
}

}  // namespace omnitide::io
