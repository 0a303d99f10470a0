// One HTTP/2 connection: nghttp2's protocol machine over a Stream. Inside of the room.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/io/http2_client.hpp"
#include "agent/io/stream.hpp"

struct nghttp2_session;

namespace omnitide::io {

// One request and its answer, shared by who asked and the connection.
struct Http2Exchange {
  Http2Exchange(boost::asio::io_context& context, Http2Request asked) : request(std::move(asked)), timer(context) {}
  Http2Request request;
  Http2Response response;
  std::optional<Error> problem;
  boost::asio::steady_timer timer;  // the deadline; its waiter is woken at the end
  std::size_t sent = 0, header_bytes = 0;
  bool done = false, refused = false, ended_early = false;
};

class Http2Session : public std::enable_shared_from_this<Http2Session> {
 public:
  Http2Session(boost::asio::io_context& context, Stream stream, std::string scheme, std::string authority,
               const Http2Options& options);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // Begins to read and to write, and holds itself until the connection ends.
  [[nodiscard]] Result<> start();
  [[nodiscard]] boost::asio::awaitable<void> exchange(std::shared_ptr<Http2Exchange> exchange);
  // Whether a new request may begin here.
  [[nodiscard]] bool usable() const { return !ended_ && !draining_; }
  void end(const Error& reason);

 private:
  struct Callbacks;  // nghttp2's, which reach into this class
  friend struct Callbacks;
  [[nodiscard]] boost::asio::awaitable<void> read();
  [[nodiscard]] boost::asio::awaitable<void> write();
  [[nodiscard]] boost::asio::awaitable<void> look_for_life();
  [[nodiscard]] Result<std::int32_t> submit(const std::shared_ptr<Http2Exchange>& exchange);
  void cancel(std::int32_t stream);
  void wake_writer();
  [[nodiscard]] Error over() const;  // why the connection is at its end
  void leave();
  static void finish(Http2Exchange& exchange, std::optional<Error> problem);

  boost::asio::io_context& context_;
  Stream stream_;
  std::string scheme_, authority_;
  std::size_t body_limit_, header_limit_;
  std::chrono::milliseconds ping_after_, ping_timeout_;
  nghttp2_session* session_ = nullptr;
  boost::asio::steady_timer writer_, pinger_;
  SteadyTime heard_ = std::chrono::steady_clock::now();
  std::map<std::int32_t, std::shared_ptr<Http2Exchange>> exchanges_;
  bool ended_ = false, draining_ = false, pending_ = false;
  unsigned workers_ = 2;  // coroutines that use the stream
  bool broken_ = false;   // this side ended it: what came is not HTTP/2
};

}  // namespace omnitide::io
