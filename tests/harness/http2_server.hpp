// An HTTP/2 server on loopback or a unix socket, on a thread of its own, that answers as it is told: late, in pieces,
// not at all. nghttp2's server side, or bytes that are no HTTP/2.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "agent/base/fd.hpp"

namespace omnitide::test {

using Http2Fields = std::vector<std::pair<std::string, std::string>>;

struct Http2Asked {
  std::map<std::string, std::string> headers;  // ":path" and its like too
  std::string body;
};

struct Http2Answer {
  unsigned status = 200;
  Http2Fields headers{}, trailers{};
  std::string body{};
  std::chrono::milliseconds after{0};
  std::uint32_t reset = 0;  // instead of an answer: RST_STREAM with this code
  bool silent = false;      // no answer at all
  bool open = false;        // the body does not end
  bool last = false;        // GOAWAY before the answer: no further streams
};

class Http2Server {
 public:
  using Handler = std::function<Http2Answer(const Http2Asked&)>;
  // `unix_path`: empty for 127.0.0.1. `tls`: an SSL_CTX, which chooses h2 by ALPN, or null. `raw`: sent instead of
  // HTTP/2.
  explicit Http2Server(Handler handler, std::string unix_path = {}, void* tls = nullptr, std::string raw = {});
  ~Http2Server();
  Http2Server(const Http2Server&) = delete;
  Http2Server& operator=(const Http2Server&) = delete;

  [[nodiscard]] std::string address() const;  // "127.0.0.1:PORT" or "unix:PATH"
  [[nodiscard]] std::size_t connections() const { return connections_; }
  [[nodiscard]] std::size_t most_at_once() const { return most_at_once_; }  // of streams

 private:
  class Connection;
  void serve();

  Handler handler_;
  std::string unix_path_, raw_;
  void* tls_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> connections_{0}, most_at_once_{0};
  std::thread thread_;
};

}  // namespace omnitide::test
