#include "agent/io/http2_session.hpp"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::io {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kHttp2Chunk = 16U << 10U, kMostHeaders = 256;
constexpr std::uint32_t kWindow = 256U << 10U;  // bytes that the peer may send ahead, of one stream

std::string_view view(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

nghttp2_nv field(std::string_view name, std::string_view value) {
  // nghttp2 copies both; it wants pointers to what it does not change.
  auto* const name_bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
  auto* const value_bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
  return {name_bytes, value_bytes, name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

Error failed_http2(int code, std::string_view what) {
  return fail(Code::internal, fmt::format("{}: {}", what, nghttp2_strerror(code)));
}

Error stream_error(std::uint32_t code) {
  return fail(Code::unavailable, fmt::format("the server ended the exchange: {}", nghttp2_http2_strerror(code)));
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }
  static Http2Exchange* find(void* user, std::int32_t stream) {
    const auto found = self(user).exchanges_.find(stream);
    return found == self(user).exchanges_.end() ? nullptr : found->second.get();
  }

  static bool streams(const Http2Exchange& exchange) {
    return exchange.request.on_bytes && exchange.response.status == 200;
  }
  // Whether the exchange goes on.
  static bool give(Http2Exchange& exchange, std::string_view bytes) {
    exchange.timer.expires_after(exchange.request.timeout);  // wakes the waiter, which waits again
    if (exchange.request.on_bytes(bytes)) return true;
    exchange.ended_early = true;
    finish(exchange, std::nullopt);
    return false;
  }

  static int header(nghttp2_session* /*session*/, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t /*flags*/,
                    void* user) {
    Http2Exchange* exchange = find(user, frame->hd.stream_id);
    if (exchange == nullptr) return 0;
    Http2Response& response = exchange->response;
    exchange->header_bytes += name_size + value_size;
    if (exchange->header_bytes > self(user).header_limit_ ||
        response.headers.size() + response.trailers.size() >= kMostHeaders) {
      finish(*exchange, fail(Code::resource_exhausted, "the answer has too many headers"));
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // ends the stream alone
    }
    const std::string_view key = view(name, name_size), text = view(value, value_size);
    if (key == ":status") {
      response.status = parse_number<unsigned>(text).value_or(0);
      response.headers.clear();  // of an interim answer
    } else {
      const bool trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS && response.status >= 200;
      (trailer ? response.trailers : response.headers).emplace_back(key, text);
    }
    return 0;
  }

  static int data(nghttp2_session* session, std::uint8_t /*flags*/, std::int32_t stream, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    Http2Exchange* exchange = find(user, stream);
    if (exchange == nullptr || exchange->done) return 0;
    if (streams(*exchange)) {
      if (give(*exchange, view(bytes, size))) return 0;
    } else if (exchange->response.body.size() + size > self(user).body_limit_) {
      finish(*exchange,
             fail(Code::resource_exhausted, "the answer is longer than " + human_bytes(self(user).body_limit_)));
    } else {
      exchange->response.body.append(view(bytes, size));
      return 0;
    }
    nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    return 0;
  }

  static int closed(nghttp2_session* /*session*/, std::int32_t stream, std::uint32_t code, void* user) {
    const auto found = self(user).exchanges_.find(stream);
    if (found == self(user).exchanges_.end()) return 0;
    const std::shared_ptr<Http2Exchange> exchange = found->second;
    self(user).exchanges_.erase(found);
    exchange->refused = code == NGHTTP2_REFUSED_STREAM;
    if (code != NGHTTP2_NO_ERROR)
      finish(*exchange, stream_error(code));
    else if (exchange->response.status < 200)
      finish(*exchange, fail(Code::data_loss, "the server ended the exchange without an answer"));
    else
      finish(*exchange, std::nullopt);
    return 0;
  }

  static int frame(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).draining_ = true;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    Http2Exchange* exchange = find(user, frame->hd.stream_id);
    if (exchange != nullptr && !exchange->done && streams(*exchange) && !give(*exchange, {}))
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_CANCEL);
    return 0;
  }

  // A request that found the connection at its end: the server never saw it.
  static int not_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, int code, void* user) {
    const auto found = self(user).exchanges_.find(frame->hd.stream_id);
    if (frame->hd.type != NGHTTP2_HEADERS || found == self(user).exchanges_.end()) return 0;
    const std::shared_ptr<Http2Exchange> exchange = found->second;
    self(user).exchanges_.erase(found);
    exchange->refused = true;
    finish(*exchange, failed_http2(code, "cannot send the request"));
    return 0;
  }

  static int sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) self(user).broken_ = true;
    return 0;
  }

  static ssize_t body(nghttp2_session* /*session*/, std::int32_t /*stream*/, std::uint8_t* buffer, std::size_t size,
                      std::uint32_t* flags, nghttp2_data_source* source, void* /*user*/) {
    auto& exchange = *static_cast<Http2Exchange*>(source->ptr);
    const std::string& body = exchange.request.body;
    const std::size_t count = body.copy(reinterpret_cast<char*>(buffer), size, exchange.sent);
    exchange.sent += count;
    if (exchange.sent == body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(count);
  }
};

Http2Session::Http2Session(asio::io_context& context, Stream stream, std::string scheme, std::string authority,
                           const Http2Options& options)
    : context_(context),
      stream_(std::move(stream)),
      scheme_(std::move(scheme)),
      authority_(std::move(authority)),
      body_limit_(options.body_limit),
      header_limit_(options.header_limit),
      ping_after_(options.ping_after),
      ping_timeout_(options.ping_timeout),
      writer_(context, asio::steady_timer::time_point::max()),
      pinger_(context) {}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

Result<> Http2Session::start() {
  nghttp2_session_callbacks* callbacks = nullptr;
  if (const int code = nghttp2_session_callbacks_new(&callbacks); code != 0) return failed_http2(code, "HTTP/2");
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> owner(
      callbacks, &nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &Callbacks::header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Callbacks::data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Callbacks::closed);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Callbacks::frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, &Callbacks::sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, &Callbacks::not_sent);
  if (const int code = nghttp2_session_client_new(&session_, callbacks, this); code != 0)
    return failed_http2(code, "HTTP/2");
  const std::array<nghttp2_settings_entry, 4> settings{
      {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
       {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(header_limit_)}}};
  if (const int code = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
      code != 0)
    return failed_http2(code, "HTTP/2");
  (void)nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 4 * kWindow);
  const auto self = shared_from_this();
  asio::co_spawn(
      context_, [self]() -> asio::awaitable<void> { co_await self->read(); }, asio::detached);
  asio::co_spawn(
      context_, [self]() -> asio::awaitable<void> { co_await self->write(); }, asio::detached);
  if (ping_after_.count() == 0) return {};
  asio::co_spawn(
      context_, [self]() -> asio::awaitable<void> { co_await self->look_for_life(); }, asio::detached);
  return {};
}

Result<std::int32_t> Http2Session::submit(const std::shared_ptr<Http2Exchange>& exchange) {
  const Http2Request& request = exchange->request;
  std::vector<nghttp2_nv> fields{field(":method", request.method), field(":scheme", scheme_),
                                 field(":authority", authority_), field(":path", request.path)};
  for (const auto& [name, value] : request.headers)
    fields.push_back(field(name, value));
  nghttp2_data_provider body{};
  body.source.ptr = exchange.get();
  body.read_callback = &Callbacks::body;
  const std::int32_t stream = nghttp2_submit_request(session_, nullptr, fields.data(), fields.size(),
                                                     request.body.empty() ? nullptr : &body, nullptr);
  if (stream < 0) {
    draining_ = true;  // no numbers are left
    return failed_http2(stream, "cannot send the request");
  }
  exchanges_.emplace(stream, exchange);
  return stream;
}

asio::awaitable<void> Http2Session::exchange(std::shared_ptr<Http2Exchange> exchange) {
  const auto self = shared_from_this();
  if (ended_) {
    finish(*exchange, over());
    co_return;
  }
  const Result<std::int32_t> stream = submit(exchange);
  if (stream.has_error()) {
    finish(*exchange, stream.error());
    co_return;
  }
  exchange->timer.expires_after(exchange->request.timeout);
  wake_writer();
  while (!exchange->done) {
    const auto [error] = co_await exchange->timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (exchange->done || error) continue;
    finish(*exchange, fail(Code::deadline_exceeded, "no answer from " + authority_ + " in time"));
  }
  cancel(*stream);
}

// A stream whose exchange is over and that is still open: the server need not go on.
void Http2Session::cancel(std::int32_t stream) {
  if (ended_ || !exchanges_.contains(stream)) return;  // it stays there until nghttp2 has let go of it
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
  wake_writer();
}

void Http2Session::wake_writer() {
  pending_ = true;
  writer_.cancel();
}

void Http2Session::finish(Http2Exchange& exchange, std::optional<Error> problem) {
  if (std::exchange(exchange.done, true)) return;
  exchange.problem = std::move(problem);
  exchange.timer.cancel();
}

void Http2Session::end(const Error& reason) {
  if (std::exchange(ended_, true)) return;
  for (const auto& [stream, exchange] : exchanges_)
    finish(*exchange, reason);
  exchanges_.clear();
  stream_.abort(reason);
  writer_.cancel();
  pinger_.cancel();
}

Error Http2Session::over() const {
  return broken_ ? fail(Code::data_loss, "the server's answer is not HTTP/2")
                 : fail(Code::unavailable, "the server ended the connection");
}

asio::awaitable<void> Http2Session::read() {
  std::string buffer(kHttp2Chunk, '\0');
  while (!ended_) {
    const Result<std::size_t> got = co_await stream_.read_some({buffer.data(), buffer.size()});
    if (ended_) break;
    if (got.has_error()) {
      end(got.error());
      break;
    }
    if (*got == 0) {
      end(over());
      break;
    }
    heard_ = std::chrono::steady_clock::now();
    const ssize_t taken =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(buffer.data()), *got);
    if (taken < 0) {
      end(fail(Code::data_loss,
               fmt::format("the server's answer is not HTTP/2: {}", nghttp2_strerror(static_cast<int>(taken)))));
      break;
    }
    wake_writer();
  }
  leave();
}

// end() wakes both; whoever of the two is last lets go.
void Http2Session::leave() {
  if (--workers_ == 0) stream_.close();
}

// Whatever comes is a sign of life; the PING only sees to it that something does.
asio::awaitable<void> Http2Session::look_for_life() {
  std::optional<SteadyTime> pinged;
  while (!ended_) {
    if (pinged && heard_ >= *pinged) pinged.reset();
    const SteadyTime now = std::chrono::steady_clock::now();
    if (pinged && now >= *pinged + ping_timeout_) {
      end(fail(Code::unavailable, fmt::format("{} is silent and does not answer a ping", authority_)));
      break;
    }
    const bool quiet = now >= heard_ + ping_after_;
    if (!pinged && quiet && !exchanges_.empty()) {
      nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
      wake_writer();
      pinged = now;
    }
    pinger_.expires_at(pinged ? *pinged + ping_timeout_ : quiet ? now + ping_after_ : heard_ + ping_after_);
    co_await pinger_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

asio::awaitable<void> Http2Session::write() {
  std::string out;
  while (!ended_) {
    pending_ = false;
    out.clear();
    ssize_t size = 0;
    const std::uint8_t* bytes = nullptr;
    while (out.size() < kHttp2Chunk && (size = nghttp2_session_mem_send(session_, &bytes)) > 0)
      out.append(view(bytes, static_cast<std::size_t>(size)));
    if (size < 0) {
      end(failed_http2(static_cast<int>(size), "cannot write HTTP/2"));
      break;
    }
    if (!out.empty()) {
      const Result<> wrote = co_await stream_.write_all(out);
      if (!wrote.has_error()) continue;
      // A server that has closed may have answered before: what it sent is read to its end.
      draining_ = true;
      break;
    }
    if (nghttp2_session_want_read(session_) == 0) {
      end(over());
      break;
    }
    if (!pending_) co_await writer_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  leave();
}

}  // namespace omnitide::io
