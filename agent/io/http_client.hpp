// An HTTP/1.1 client that keeps one connection: https, http or a unix socket. One request at a time.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::io {

struct ClientOptions {
  std::string endpoint;                       // "https://host:port", "http://host:port" or "unix:/path"
  TlsContext tls;                             // for https
  std::chrono::milliseconds timeout{10'000};  // of one request, connecting included
  std::size_t body_limit = 4U << 20U;         // of an answer
  std::string local_address;                  // bind to it, for tests and load
  std::vector<std::string> addresses{};       // literal ones of the endpoint's host; empty: it is looked up
  bool cut_body = false;                      // an answer longer than body_limit is cut there instead of refused
  std::string server_name{};  // what the server's certificate must name, when it is not the endpoint's host
  // A TCP connection is given up when the other machine is silent for this long (0: the system's hours): HTTP/1.1 has
  // no ping.
  std::chrono::seconds silence{0};
};

class HttpClient {
 public:
  HttpClient(boost::asio::io_context& context, ClientOptions options);
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  // An answer of any status is a value; an error means that no answer came. A kept connection that the server closed
  // meanwhile is opened anew once, when no byte of the answer had come.
  [[nodiscard]] boost::asio::awaitable<Result<HttpResponse>> send(HttpRequest request);
  // For watches: `on_bytes` as Http2Request has it; the time-out counts from byte to byte.
  [[nodiscard]] boost::asio::awaitable<Result<HttpResponse>> stream(HttpRequest request,
                                                                    std::function<bool(std::string_view)> on_bytes);
  // Connects and shakes hands without a request; no-op when connected.
  [[nodiscard]] boost::asio::awaitable<Result<>> connect();
  void close();   // between requests
  void cancel();  // ends the request under way with Code::aborted, and every later one
  [[nodiscard]] bool connected() const;
  [[nodiscard]] std::chrono::nanoseconds handshake_time() const;  // of the last TLS handshake

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

struct Url {
  std::string scheme, host, port, path;  // port never empty for http and https
};
[[nodiscard]] Result<Url> parse_url(std::string_view text);
// Runs one request to its end on a private io_context: for the CLI.
[[nodiscard]] Result<HttpResponse> send_blocking(ClientOptions options, HttpRequest request);
// "name=value&..." with percent-encoding, and one path segment.
[[nodiscard]] std::string encode_segment(std::string_view text);

}  // namespace omnitide::io
