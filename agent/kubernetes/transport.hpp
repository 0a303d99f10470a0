// Requests to one API server over one HTTP/2 connection; over HTTP/1.1, a connection for each request under way, where
// the server or a proxy before it speaks nothing newer. Inside of the room.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/connect.hpp"
#include "agent/io/http2_client.hpp"
#include "agent/io/http_client.hpp"
#include "agent/kubernetes/access.hpp"

namespace omnitide::kubernetes {

struct Answer {
  unsigned status = 0;
  std::string content_type, body;
  std::optional<std::chrono::seconds> retry_after;  // at most an hour
};

class Transport {
 public:
  // Names are looked up on `workers`, which outlives this.
  Transport(boost::asio::io_context& context, io::WorkerPool& workers, Credentials& credentials);
  ~Transport();

  // As io::Http2Client::send; the path's prefix is added. An answer of any status is a value.
  [[nodiscard]] boost::asio::awaitable<Result<Answer>> send(io::Http2Request request);
  // Ends all connections; whoever waits gets Code::aborted.
  void close();
  [[nodiscard]] bool http1() const { return http1_; }
  [[nodiscard]] std::uint64_t connections() const { return connections_; }

 private:
  [[nodiscard]] Result<> prepare();  // parses the server's URL once
  [[nodiscard]] Result<> renew();    // a client for HTTP/2 that proves what is to be proven now
  [[nodiscard]] boost::asio::awaitable<Result<Answer>> send_http1(io::Http2Request request);
  [[nodiscard]] std::shared_ptr<io::HttpClient> take_idle(std::chrono::milliseconds timeout);
  [[nodiscard]] boost::asio::awaitable<Result<std::vector<std::string>>> addresses();

  boost::asio::io_context& context_;
  io::WorkerPool& workers_;
  Credentials& credentials_;
  io::NameLookup lookup_;
  io::Url url_;
  std::string endpoint_;  // without the path
  std::shared_ptr<io::Http2Client> client_;
  void* proven_ = nullptr;  // the TLS context of client_
  struct Idle {             // its time-out belongs to a connection
    std::shared_ptr<io::HttpClient> client;
    std::chrono::milliseconds timeout;
  };
  std::list<std::shared_ptr<io::HttpClient>> busy_;
  std::list<Idle> idle_;
  std::uint64_t connections_ = 0;  // made so far, HTTP/1.1's too
  unsigned closed_ = 0;
  bool http1_ = false;
};

}  // namespace omnitide::kubernetes
