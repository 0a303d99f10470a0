// One connection of the server: a loop of request, answer, wait.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <vector>

#include "agent/io/http_server.hpp"
#include "agent/io/stream.hpp"

namespace omnitide::io {

// What all sessions of a server share; owned by the server, outlives them.
struct ServerShared {
  std::vector<Route> routes;
  ServerLimits limits;
  Guard guard;
  ServerCounters counters;
  bool stopping = false;
  // Bytes just read, before they are parsed: one buffer for all, since a session never waits while it holds bytes here.
  std::vector<char> scratch = std::vector<char>(16U << 10U);
};

class HttpSession {
 public:
  HttpSession(ServerShared& shared, Stream stream, std::shared_ptr<Peer> peer, TlsContext tls);
  // Runs until either side ends the connection. Throws nothing that matters to others: the server fences it.
  [[nodiscard]] boost::asio::awaitable<void> run();
  // The server's clock sweep: ends the connection when its deadline has passed.
  void expire(SteadyTime now);
  // Ends it when no request is under way, or only an endless answer; else within two seconds, by expire().
  void stop();
  // Ends it to make room when it is idle and nobody in particular: no client certificate. False otherwise.
  bool evict();
  [[nodiscard]] const Peer& peer() const { return *peer_; }

 private:
  struct Incoming;  // the parser of the request under way
  // Not a bool: `co_return` of a const Result<bool> makes a new Result out of its operator bool, and an end or an error
  // becomes true.
  enum class Fed : std::uint8_t { more, end };  // end: the peer's orderly end of the stream
  [[nodiscard]] boost::asio::awaitable<bool> serve_one();
  [[nodiscard]] boost::asio::awaitable<Result<Fed>> read_head(Incoming& incoming);
  [[nodiscard]] boost::asio::awaitable<Result<Fed>> read_body(Incoming& incoming);
  [[nodiscard]] boost::asio::awaitable<Result<Fed>> feed(Incoming& incoming);
  [[nodiscard]] boost::asio::awaitable<bool> answer(HttpResponse response, bool keep_alive, bool head_only);
  [[nodiscard]] boost::asio::awaitable<HttpResponse> handle(const Route& route, HttpRequest& request);
  void set_deadline(std::chrono::milliseconds from_now);

  ServerShared& shared_;
  Stream stream_;
  std::shared_ptr<Peer> peer_;
  TlsContext tls_;
  std::string carry_;  // bytes after the end of a request: the next one, pipelined
  SteadyTime deadline_{}, stop_by_ = SteadyTime::max();
  bool busy_ = false, streaming_ = false, evicted_ = false;
};

}  // namespace omnitide::io
