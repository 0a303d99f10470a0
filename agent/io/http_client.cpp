#include "agent/io/http_client.hpp"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/io/stream.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

namespace {

constexpr std::uint32_t kHeaderLimit = 32U << 10U;
constexpr std::size_t kChunk = 16U << 10U;

std::string request_bytes(const HttpRequest& request, const Url& url) {
  const std::string host = url.scheme == "unix"                      ? "localhost"
                           : url.host.find(':') != std::string::npos ? fmt::format("[{}]:{}", url.host, url.port)
                                                                     : fmt::format("{}:{}", url.host, url.port);
  std::string target = request.path;
  char separator = '?';
  for (const auto& [key, value] : request.query) {
    target += fmt::format("{}{}={}", std::exchange(separator, '&'), encode_segment(key), encode_segment(value));
  }
  std::string out = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, target, host);
  for (const auto& [name, value] : request.headers)
    out += fmt::format("{}: {}\r\n", name, value);
  if (!request.body.empty() || request.method == "POST" || request.method == "PUT") {
    out += fmt::format("Content-Length: {}\r\n", request.body.size());
  }
  return out + "\r\n" + request.body;
}

// By the kernel: probes when nothing is under way, a bound on what is not acknowledged when something is.
void end_when_silent(int socket, std::chrono::seconds longest) {
  const int seconds = static_cast<int>(longest.count()), probes = 3, on = 1;
  const int idle = std::max(1, seconds / 2), between = std::max(1, (seconds - idle) / probes);
  const auto milliseconds = static_cast<unsigned>(seconds) * 1000;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof(between));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
  ::setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof(milliseconds));
}

HttpResponse response_of(http::response<http::string_body>&& message) {
  HttpResponse out;
  out.status = message.result_int();
  for (const auto& field : message) {
    out.headers.emplace_back(to_lower({field.name_string().data(), field.name_string().size()}),
                             std::string(field.value().data(), field.value().size()));
  }
  out.content_type = std::string(out.header("content-type"));
  out.body = std::move(message.body());
  return out;
}

}  // namespace

class HttpClient::Impl {
 public:
  Impl(asio::io_context& context, ClientOptions options)
      : context_(context), options_(std::move(options)), timer_(context), resolver_(context) {}

  asio::awaitable<Result<>> connect() {
    if (stream_ && stream_->open()) co_return Result<>{};
    const Result<Url> url = parse_url(options_.endpoint);
    if (url.has_error()) co_return url.error();
    url_ = *url;
    // Two awaits and no conditional operator: GCC 12 destroys the temporary of `a ? co_await b : co_await c` twice.
    Result<StreamSocket> socket = fail(Code::internal, "no socket");
    if (url_.scheme == "unix") {
      socket = co_await open_unix();
    } else {
      socket = co_await open_tcp();
    }
    if (socket.has_error()) co_return std::move(socket).error().within("cannot reach " + options_.endpoint);
    stream_.emplace(std::move(*socket));
    if (url_.scheme != "https") co_return Result<>{};
    const auto before = std::chrono::steady_clock::now();
    Result<> shaken =
        co_await stream_->connect_tls(options_.tls, options_.server_name.empty() ? url_.host : options_.server_name);
    handshake_ = std::chrono::steady_clock::now() - before;
    if (shaken.has_error()) {
      close();
      co_return handshake_failure(std::move(shaken).error(), options_.endpoint);
    }
    co_return Result<>{};
  }

  asio::awaitable<Result<HttpResponse>> exchange(HttpRequest request, std::function<bool(std::string_view)> on_bytes) {
    const bool kept = stream_ && stream_->open();
    if (cancelled_) co_return fail(Code::aborted, "the client was told to end");
    arm();
    Result<HttpResponse> answer = co_await attempt(request, on_bytes);
    // A kept connection that the server had closed meanwhile: no byte of an answer came, so ask once more on a new one.
    if (answer.has_error() && kept && !answered_ && !cancelled_ && answer.error().code != Code::deadline_exceeded) {
      close();
      answer = co_await attempt(request, on_bytes);
    }
    disarm();
    if (answer.has_error() || answer->header("connection") == "close") close();
    co_return answer;
  }

  asio::awaitable<Result<>> connect_in_time() {
    arm();
    Result<> connected = co_await connect();
    disarm();
    co_return connected;
  }

  void cancel() {
    cancelled_ = expired_ = true;
    resolver_.cancel();
    boost::system::error_code ignored;
    if (connecting_ != nullptr) connecting_->cancel(ignored);
    if (stream_) stream_->abort(fail(Code::aborted, "the client was told to end"));
  }

  void close() {
    if (stream_) stream_->close();
    stream_.reset();
  }

  [[nodiscard]] bool connected() const { return stream_ && stream_->open(); }
  [[nodiscard]] std::chrono::nanoseconds handshake_time() const { return handshake_; }

 private:
  // The timer ends whatever is under way: the look-up, the connect, or the stream.
  void arm() {
    expired_ = false;
    timer_.expires_after(options_.timeout);
    timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](const boost::system::error_code& error) {
      if (error || alive.expired()) return;
      expired_ = true;
      resolver_.cancel();
      boost::system::error_code ignored;
      if (connecting_ != nullptr) connecting_->cancel(ignored);
      if (stream_) stream_->abort(fail(Code::deadline_exceeded, "no answer from " + options_.endpoint + " in time"));
    });
  }
  void disarm() { timer_.cancel(); }

  asio::awaitable<Result<StreamSocket>> open_unix() {
    if (url_.path.empty() || url_.path.size() >= 108)
      co_return fail(Code::invalid_argument, "socket path is empty or too long");
    const asio::local::stream_protocol::endpoint endpoint(url_.path);
    StreamSocket socket(context_, asio::generic::stream_protocol(endpoint.protocol()));
    co_return co_await connect_socket(std::move(socket), endpoint);
  }

  asio::awaitable<Result<StreamSocket>> open_tcp() {
    std::vector<tcp::endpoint> endpoints;
    boost::system::error_code not_address;
    const auto literal = asio::ip::make_address(url_.host, not_address);
    const auto port = parse_number<std::uint16_t>(url_.port);
    if (!port) co_return fail(Code::invalid_argument, "\"" + url_.port + "\" is no port");
    if (!options_.addresses.empty()) {
      for (const std::string& address : options_.addresses)
        endpoints.emplace_back(asio::ip::make_address(address, not_address), *port);
    } else if (!not_address) {
      endpoints.emplace_back(literal, *port);
    } else {
      const auto [error, found] =
          co_await resolver_.async_resolve(url_.host, url_.port, asio::as_tuple(asio::use_awaitable));
      if (expired_) co_return fail(Code::deadline_exceeded, "name look-up took too long");
      if (error) co_return fail(Code::unavailable, "cannot look up " + url_.host + ": " + error.message());
      for (const auto& entry : found)
        endpoints.push_back(entry.endpoint());
    }
    Error last = fail(Code::unavailable, "no address");
    for (const tcp::endpoint& endpoint : endpoints) {
      StreamSocket socket(context_);
      boost::system::error_code error;
      socket.open(endpoint.protocol(), error);
      if (!error && !options_.local_address.empty()) {
        socket.bind(tcp::endpoint(asio::ip::make_address(options_.local_address, error), 0), error);
      }
      if (error) co_return fail_errno(error.value(), "cannot make a socket");
      Result<StreamSocket> opened = co_await connect_socket(std::move(socket), endpoint);
      if (opened.has_value()) {
        boost::system::error_code ignored;
        opened->set_option(tcp::no_delay(true), ignored);
        if (options_.silence.count() > 0) end_when_silent(opened->native_handle(), options_.silence);
        co_return opened;
      }
      last = opened.error();
      if (expired_) break;
    }
    co_return last;
  }

  asio::awaitable<Result<StreamSocket>> connect_socket(StreamSocket socket,
                                                       asio::generic::stream_protocol::endpoint endpoint) {
    connecting_ = &socket;
    const auto [error] = co_await socket.async_connect(endpoint, asio::as_tuple(asio::use_awaitable));
    connecting_ = nullptr;
    if (expired_) co_return fail(Code::deadline_exceeded, "connecting took too long");
    if (!error) co_return std::move(socket);
    Error failure = fail_errno(error.value(), "connect");
    if (failure.code == Code::internal || failure.code == Code::not_found) failure.code = Code::unavailable;
    co_return failure;
  }

  asio::awaitable<Result<HttpResponse>> attempt(const HttpRequest& request,
                                                const std::function<bool(std::string_view)>& on_bytes) {
    answered_ = false;
    if (Result<> connected = co_await connect(); connected.has_error()) co_return std::move(connected).error();
    const std::string bytes = request_bytes(request, url_);
    // A server that refuses early answers and closes while the body is still on its way: its answer counts, not the
    // broken pipe.
    const Result<> wrote = co_await stream_->write_all(bytes);
    Result<HttpResponse> answer = co_await read_answer(request.method == "HEAD", on_bytes);
    if (answer.has_error() && wrote.has_error() && !answered_) co_return wrote.error();
    co_return answer;
  }

  asio::awaitable<Result<HttpResponse>> read_answer(bool head_only,
                                                    const std::function<bool(std::string_view)>& on_bytes) {
    http::response_parser<http::string_body> parser;
    parser.skip(head_only);
    parser.header_limit(kHeaderLimit);
    const bool any_length = on_bytes != nullptr || options_.cut_body;
    parser.body_limit(any_length ? boost::none : boost::optional<std::uint64_t>(options_.body_limit));
    std::string chunk(kChunk, '\0'), pending;
    bool begun = false;
    while (!parser.is_done()) {
      const Result<std::size_t> got = co_await stream_->read_some({chunk.data(), chunk.size()});
      if (got.has_error()) co_return got.error();
      boost::system::error_code error;
      if (*got == 0) {
        // Beast takes the end of nothing for a whole message.
        if (!parser.got_some()) co_return fail(Code::unavailable, "the server ended the connection without an answer");
        parser.put_eof(error);
        if (error || !parser.is_done())
          co_return fail(Code::data_loss, "the server ended the connection within its answer");
        break;
      }
      answered_ = true;
      pending.append(chunk.data(), *got);
      while (!pending.empty() && !parser.is_done()) {
        const std::size_t used = parser.put(asio::buffer(pending), error);
        pending.erase(0, used);
        if (error == http::error::need_more || used == 0) break;
        if (error) co_return fail(Code::data_loss, "the server's answer is not HTTP: " + error.message());
      }
      if (error && error != http::error::need_more)
        co_return fail(Code::data_loss, "the server's answer is not HTTP: " + error.message());
      if (options_.cut_body && parser.is_header_done() && parser.get().body().size() >= options_.body_limit) {
        close();
        HttpResponse cut = response_of(parser.release());
        cut.body.resize(std::min(cut.body.size(), options_.body_limit));
        co_return cut;
      }
      if (!on_bytes || !parser.is_header_done() || parser.get().result_int() != 200) continue;
      arm();
      const std::string body = std::exchange(parser.get().body(), {});
      if ((!std::exchange(begun, true) || !body.empty()) && !on_bytes(body)) {
        close();
        co_return response_of(parser.release());
      }
    }
    const bool keep = parser.keep_alive();
    HttpResponse out = response_of(parser.release());
    if (!keep) close();
    co_return out;
  }

  asio::io_context& context_;
  ClientOptions options_;
  asio::steady_timer timer_;
  tcp::resolver resolver_;
  Url url_;
  std::optional<Stream> stream_;
  StreamSocket* connecting_ = nullptr;
  std::chrono::nanoseconds handshake_{};
  bool expired_ = false, answered_ = false, cancelled_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

HttpClient::HttpClient(asio::io_context& context, ClientOptions options)
    : impl_(std::make_unique<Impl>(context, std::move(options))) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

asio::awaitable<Result<HttpResponse>> HttpClient::send(HttpRequest request) {
  return impl_->exchange(std::move(request), {});
}
asio::awaitable<Result<HttpResponse>> HttpClient::stream(HttpRequest request,
                                                         std::function<bool(std::string_view)> on_bytes) {
  return impl_->exchange(std::move(request), std::move(on_bytes));
}
asio::awaitable<Result<>> HttpClient::connect() { return impl_->connect_in_time(); }
void HttpClient::close() { impl_->close(); }
void HttpClient::cancel() { impl_->cancel(); }
bool HttpClient::connected() const { return impl_->connected(); }
std::chrono::nanoseconds HttpClient::handshake_time() const { return impl_->handshake_time(); }

Result<HttpResponse> send_blocking(ClientOptions options, HttpRequest request) {
  asio::io_context context(1);
  HttpClient client(context, std::move(options));
  Result<HttpResponse> out = fail(Code::internal, "no answer");
  asio::co_spawn(
      context, [&client, &out, &request]() -> asio::awaitable<void> { out = co_await client.send(std::move(request)); },
      asio::detached);
  context.run();
  return out;
}

}  // namespace omnitide::io
