#include "agent/io/http2_client.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/connect.hpp"
#include "agent/io/http2_session.hpp"
#include "agent/io/http_client.hpp"
#include "agent/io/stream.hpp"

namespace omnitide::io {

namespace asio = boost::asio;

std::string_view Http2Response::header(std::string_view name) const {
  for (const Http2Headers* each : {&headers, &trailers})
    for (const auto& [key, value] : *each)
      if (key == name) return value;
  return {};
}

class Http2Client::Impl : public std::enable_shared_from_this<Http2Client::Impl> {
 public:
  Impl(asio::io_context& context, Http2Options options)
      : context_(context),
        options_(std::move(options)),
        connector_(std::in_place, context),
        turn_(context, asio::steady_timer::time_point::max()) {}

  asio::awaitable<Result<Http2Response>> send(Http2Request request) {
    for (int attempt = 0;; ++attempt) {
      if (Result<> connected = co_await connect(); connected.has_error()) co_return std::move(connected).error();
      const auto exchange = std::make_shared<Http2Exchange>(context_, request);
      const std::shared_ptr<Http2Session> session = session_;
      co_await session->exchange(exchange);
      if (exchange->problem && exchange->refused && attempt == 0) continue;
      if (exchange->problem) co_return *exchange->problem;
      co_return std::move(exchange->response);
    }
  }

  void close() {
    ++closed_;
    connector_->cancel();
    connector_.emplace(context_);
    if (handshaking_ != nullptr) handshaking_->abort(ended());
    if (session_) session_->end(ended());
    session_.reset();
  }

  [[nodiscard]] bool connected() const { return session_ && session_->usable(); }

 private:
  static Error ended() { return fail(Code::aborted, "the client was told to end"); }

  // One connects; the others wait for it.
  asio::awaitable<Result<>> connect() {
    while (connecting_)
      co_await turn_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (connected()) co_return Result<>();
    connecting_ = true;
    const unsigned closed = closed_;
    Result<> done = co_await open();
    connecting_ = false;
    turn_.cancel();
    if (closed != closed_) {
      if (session_) session_->end(ended());
      session_.reset();
      co_return ended();
    }
    co_return done;
  }

  asio::awaitable<Result<>> open() {
    const Result<Url> url = parse_url(options_.endpoint);
    if (url.has_error()) co_return url.error();
    const SteadyTime deadline = std::chrono::steady_clock::now() + options_.connect_timeout;
    Result<StreamSocket> socket = fail(Code::internal, "no socket");
    if (url->scheme == "unix") {
      socket = co_await connector_->unix_socket(url->path, options_.connect_timeout);
    } else {
      const auto port = parse_number<std::uint16_t>(url->port);
      if (!port) co_return fail(Code::invalid_argument, "\"" + url->port + "\" is no port");
      std::vector<std::string> addresses = options_.addresses;
      if (options_.lookup) {
        Result<std::vector<std::string>> found = co_await options_.lookup();
        if (found.has_error()) co_return std::move(found).error().within("cannot reach " + options_.endpoint);
        addresses = std::move(*found);
      }
      if (addresses.empty()) addresses.push_back(url->host);
      socket = co_await connector_->tcp(std::move(addresses), *port, options_.connect_timeout);
    }
    if (socket.has_error()) co_return std::move(socket).error().within("cannot reach " + options_.endpoint);
    Stream stream(std::move(*socket));
    if (url->scheme == "https") {
      Result<> shaken =
          co_await shake_hands(stream, options_.server_name.empty() ? url->host : options_.server_name, deadline);
      if (shaken.has_error()) co_return handshake_failure(std::move(shaken).error(), options_.endpoint);
    }
    const bool v6 = url->host.find(':') != std::string::npos;
    const std::string authority = url->scheme == "unix" ? "localhost"
                                  : v6                  ? "[" + url->host + "]:" + url->port
                                                        : url->host + ":" + url->port;
    session_ = std::make_shared<Http2Session>(context_, std::move(stream), url->scheme == "https" ? "https" : "http",
                                              authority, options_);
    co_return session_->start();
  }

  asio::awaitable<Result<>> shake_hands(Stream& stream, std::string host, SteadyTime deadline) {
    asio::steady_timer timer(context_, deadline);
    handshaking_ = &stream;
    timer.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (!error && self && self->handshaking_ != nullptr)
        self->handshaking_->abort(fail(Code::deadline_exceeded, "the handshake took too long"));
    });
    Result<> shaken = co_await stream.connect_tls(options_.tls, host, "h2");
    handshaking_ = nullptr;
    timer.cancel();
    co_return shaken;
  }

  asio::io_context& context_;
  Http2Options options_;
  std::optional<Connector> connector_;
  asio::steady_timer turn_;
  std::shared_ptr<Http2Session> session_;
  Stream* handshaking_ = nullptr;
  unsigned closed_ = 0;
  bool connecting_ = false;
};

Http2Client::Http2Client(asio::io_context& context, Http2Options options)
    : impl_(std::make_shared<Impl>(context, std::move(options))) {}
Http2Client::~Http2Client() {
  if (impl_) impl_->close();
}
Http2Client::Http2Client(Http2Client&&) noexcept = default;
asio::awaitable<Result<Http2Response>> Http2Client::send(Http2Request request) {
  const std::shared_ptr<Impl> impl = impl_;
  co_return co_await impl->send(std::move(request));
}
void Http2Client::close() { impl_->close(); }
bool Http2Client::connected() const { return impl_->connected(); }

}  // namespace omnitide::io
