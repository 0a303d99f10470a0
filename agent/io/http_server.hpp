// An HTTP/1.1 server for TCP, TLS and unix sockets on one io_context. Every size, count and time is bounded; one
// connection's failure never reaches another.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/io/tls.hpp"

namespace omnitide::io {

using Handler = std::function<boost::asio::awaitable<HttpResponse>(HttpRequest&)>;
// Called when the head has come and before a byte of the body is read: an answer ends the request.
using Guard = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

struct Route {
  std::string method;   // "GET", "PUT", ...; a GET route also answers HEAD
  std::string pattern;  // "/v1/nodes/{id}/heartbeat", "/v1/nodes:watch"; {name} matches one segment up to "/" or ":"
  Handler handler;
  std::size_t body_limit = 64U << 10U;
  Guard guard{};
};

struct ServerLimits {
  std::size_t connections = 256;
  std::size_t connections_per_address = 0;  // IPv6: per /64; 0: no limit of its own
  std::size_t header_bytes = 16U << 10U;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte of a request
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds write_timeout{30'000};
  std::chrono::milliseconds idle_timeout{75'000};
  std::optional<std::chrono::milliseconds> anonymous_idle_timeout{};  // without a client certificate; else as above
};

struct ServerCounters {
  std::uint64_t accepted = 0, refused_full = 0, handshake_failures = 0, requests = 0, bad_requests = 0, timeouts = 0;
  std::size_t open = 0;
};

class HttpServer {
 public:
  // `guard` is asked before every route's own, e.g. for a Host check. The routes are a static table: 404 is not 405.
  HttpServer(boost::asio::io_context& context, std::vector<Route> routes, ServerLimits limits, Guard guard = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "127.0.0.1:9797", "[::1]:0"; port 0 asks the kernel for one. Answers with the port.
  [[nodiscard]] Result<std::uint16_t> listen_tcp(const std::string& address, TlsContext tls = {});
  // Replaces a stale socket file; the mode is for the file.
  [[nodiscard]] Result<> listen_unix(const std::string& path, unsigned mode);
  // New connections use the new context (renewed certificate, rolled CA); open ones keep theirs.
  void replace_tls(TlsContext tls);
  // Stops accepting, ends idle connections, and the busy ones when their answer is out. Idempotent.
  void stop();
  [[nodiscard]] ServerCounters counters() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::io
