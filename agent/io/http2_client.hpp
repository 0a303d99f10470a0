// An HTTP/2 client (RFC 9113): one connection, many requests at once. Over TLS by ALPN, over plain TCP and unix sockets
// with prior knowledge. What gRPC and Kubernetes' API need; HTTP/1.1 is http_client.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::io {

struct Http2Options {
  std::string endpoint;                  // "https://host:port", "http://host:port" or "unix:/path"
  TlsContext tls;                        // for https
  std::vector<std::string> addresses{};  // literal ones of the endpoint's host; not needed when it is one itself
  // Asked for them before each connection instead, when set.
  std::function<boost::asio::awaitable<Result<std::vector<std::string>>>()> lookup{};
  std::string server_name{};  // what the server's certificate must name, when it is not the endpoint's host
  std::chrono::milliseconds connect_timeout{5'000};  // handshake included
  std::size_t body_limit = 4U << 20U;                // of one answer that is not streamed
  std::size_t header_limit = 64U << 10U;             // of one answer, trailers included
  // A connection with requests under way that brought nothing for `ping_after` (0: never) is asked for a sign of life
  // by a PING, and given up when it brings nothing for `ping_timeout` either.
  std::chrono::milliseconds ping_after{0}, ping_timeout{10'000};
};

using Http2Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct Http2Request {
  std::string method = "GET", path = "/";  // path with its query
  Http2Headers headers;
  std::string body;
  std::chrono::milliseconds timeout{10'000};  // of the whole exchange; of a streamed one from byte to byte
  // When set, an answer with status 200 goes here as it comes, and nowhere else: nothing for its head, then its body,
  // no more of it ahead than a window (flow control). False ends the exchange, which is then no error.
  std::function<bool(std::string_view)> on_bytes{};
};

struct Http2Response {
  unsigned status = 0;
  Http2Headers headers, trailers;
  std::string body;
  [[nodiscard]] std::string_view header(std::string_view name) const;  // of the headers, else of the trailers
};

class Http2Client {
 public:
  Http2Client(boost::asio::io_context& context, Http2Options options);
  ~Http2Client();  // as close()
  Http2Client(Http2Client&&) noexcept;
  Http2Client& operator=(Http2Client&&) = delete;

  // An answer of any status is a value; an error means that no whole answer came. May be called again while others
  // wait. Connects when there is no connection, and once more when the server refused the request unseen.
  // Code::unimplemented: the server speaks HTTP/1.1 alone (by ALPN).
  [[nodiscard]] boost::asio::awaitable<Result<Http2Response>> send(Http2Request request);
  // Ends the connection; whoever waits gets Code::aborted. The next request connects anew.
  void close();
  [[nodiscard]] bool connected() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::io
