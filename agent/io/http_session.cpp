#include "agent/io/http_session.hpp"

#include <fmt/format.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <exception>
#include <utility>

#include "agent/base/log.hpp"
#include "agent/base/text.hpp"
#include "agent/io/http_parse.hpp"

namespace omnitide::io {

namespace asio = boost::asio;
namespace http = boost::beast::http;

struct HttpSession::Incoming {
  http::request_parser<http::string_body> parser;
  std::string pending;  // bytes that the parser has not taken yet
};

namespace {

class ChunkedBody : public BodyStream {
 public:
  // `writing` is told when a write begins and when it is over: only a write has a deadline, silence has none.
  ChunkedBody(Stream& stream, std::function<void(bool)> writing) : stream_(stream), writing_(std::move(writing)) {}
  asio::awaitable<Result<>> write(std::string_view bytes) override {
    if (bytes.empty()) co_return Result<>{};
    writing_(true);
    std::string chunk = fmt::format("{:x}\r\n", bytes.size());
    chunk += bytes;
    chunk += "\r\n";
    Result<> wrote = co_await stream_.write_all(chunk);
    writing_(false);
    co_return wrote;
  }

 private:
  Stream& stream_;
  std::function<void(bool)> writing_;
};

constexpr std::chrono::milliseconds kStopGrace{2'000};

HttpResponse problem(unsigned status, Code code, std::string message) {
  HttpResponse out = error_response(fail(code, std::move(message)));
  out.status = status;
  out.close = true;
  return out;
}

HttpResponse parse_problem(const boost::system::error_code& error) {
  if (error == http::error::body_limit)
    return problem(413, Code::invalid_argument, "request body is longer than this route takes");
  if (error == http::error::header_limit) return problem(431, Code::invalid_argument, "request headers are too long");
  return problem(400, Code::invalid_argument, "request is not HTTP/1.1: " + error.message());
}

bool fill(HttpRequest& request, const http::request<http::string_body>& message) {
  request.method = std::string_view(message.method_string().data(), message.method_string().size());
  if (message.count(http::field::host) > 1) return false;  // RFC 9112, section 3.2
  for (const auto& field : message) {
    request.headers.emplace_back(to_lower({field.name_string().data(), field.name_string().size()}),
                                 std::string(field.value().data(), field.value().size()));
  }
  return set_target(request, {message.target().data(), message.target().size()});
}

}  // namespace

HttpSession::HttpSession(ServerShared& shared, Stream stream, std::shared_ptr<Peer> peer, TlsContext tls)
    : shared_(shared), stream_(std::move(stream)), peer_(std::move(peer)), tls_(std::move(tls)) {}

void HttpSession::set_deadline(std::chrono::milliseconds from_now) {
  deadline_ = std::min(std::chrono::steady_clock::now() + from_now, stop_by_);
}

void HttpSession::expire(SteadyTime now) {
  if (now < deadline_) return;
  deadline_ = SteadyTime::max();
  if (busy_) ++shared_.counters.timeouts;
  stream_.abort(fail(Code::deadline_exceeded, "the peer is too slow"));
}

bool HttpSession::evict() {
  if (busy_ || evicted_ || peer_->certificate) return false;
  evicted_ = true;
  stream_.abort(fail(Code::resource_exhausted, "idle, and others wait"));
  return true;
}

void HttpSession::stop() {
  // A request under way gets a moment to be answered, not what is left of its time-outs.
  stop_by_ = std::chrono::steady_clock::now() + kStopGrace;
  set_deadline(kStopGrace);
  if (!busy_ || streaming_) stream_.abort(fail(Code::unavailable, "server is stopping"));
}

asio::awaitable<void> HttpSession::run() {
  if (tls_) {
    busy_ = true;
    set_deadline(shared_.limits.handshake_timeout);
    const Result<> shaken = co_await stream_.accept_tls(std::exchange(tls_, {}));
    if (shaken.has_error()) {
      ++shared_.counters.handshake_failures;
      log::debug(log::Part::http, "TLS handshake failed, closing",
                 {{"peer", peer_->address}, {"reason", shaken.error().message}});
      stream_.close();
      co_return;
    }
    peer_->certificate = stream_.peer_certificate();
  }
  const ServerLimits& limits = shared_.limits;
  while (!shared_.stopping) {
    busy_ = false;
    if (carry_.empty()) {
      set_deadline(peer_->certificate ? limits.idle_timeout
                                      : limits.anonymous_idle_timeout.value_or(limits.idle_timeout));
      if ((co_await stream_.wait_readable()).has_error()) break;
    }
    busy_ = true;
    if (!co_await serve_one()) break;
  }
  stream_.close();
}

// Gives the parser what has come.
asio::awaitable<Result<HttpSession::Fed>> HttpSession::feed(Incoming& incoming) {
  boost::system::error_code error;
  if (incoming.pending.empty()) {
    const Result<std::size_t> got = co_await stream_.read_some(shared_.scratch);
    if (got.has_error()) co_return got.error();
    if (*got == 0) co_return Fed::end;
    // The scratch buffer is shared: what the parser leaves is copied before anything is awaited again.
    const std::size_t used = incoming.parser.put(asio::buffer(shared_.scratch.data(), *got), error);
    if (used < *got) incoming.pending.assign(shared_.scratch.data() + used, *got - used);
  } else {
    const std::size_t used = incoming.parser.put(asio::buffer(incoming.pending), error);
    incoming.pending.erase(0, used);
    if (error == http::error::need_more && used == 0) {
      const Result<std::size_t> got = co_await stream_.read_some(shared_.scratch);
      if (got.has_error()) co_return got.error();
      if (*got == 0) co_return Fed::end;
      incoming.pending.append(shared_.scratch.data(), *got);
    }
  }
  if (error && error != http::error::need_more) {
    ++shared_.counters.bad_requests;
    HttpResponse refused = parse_problem(error);
    co_await answer(std::move(refused), false, false);
    co_return fail(Code::invalid_argument, "bad request");
  }
  co_return Fed::more;
}

asio::awaitable<Result<HttpSession::Fed>> HttpSession::read_head(Incoming& incoming) {
  set_deadline(shared_.limits.header_timeout);
  while (!incoming.parser.is_header_done()) {
    const Result<Fed> fed = co_await feed(incoming);
    if (fed.has_error() || *fed == Fed::end) co_return fed;
    if (incoming.pending.size() > shared_.limits.header_bytes + shared_.scratch.size()) co_return Fed::end;
  }
  co_return Fed::more;
}

asio::awaitable<Result<HttpSession::Fed>> HttpSession::read_body(Incoming& incoming) {
  if (incoming.parser.is_done()) co_return Fed::more;
  set_deadline(shared_.limits.body_timeout);
  if (to_lower(std::string(incoming.parser.get()[http::field::expect])) == "100-continue") {
    const Result<> wrote = co_await stream_.write_all("HTTP/1.1 100 Continue\r\n\r\n");
    if (wrote.has_error()) co_return wrote.error();
  }
  while (!incoming.parser.is_done()) {
    // What the parser does not take is framing: a chunk's extension or a trailer without an end.
    if (incoming.pending.size() > shared_.limits.header_bytes) {
      ++shared_.counters.bad_requests;
      HttpResponse refused = parse_problem(http::error::header_limit);
      co_await answer(std::move(refused), false, false);
      co_return Fed::end;
    }
    const Result<Fed> fed = co_await feed(incoming);
    if (fed.has_error() || *fed == Fed::end) co_return fed;
  }
  co_return Fed::more;
}

asio::awaitable<HttpResponse> HttpSession::handle(const Route& route, HttpRequest& request) {
  HttpResponse failed;
  try {
    co_return co_await route.handler(request);
  } catch (const std::exception& caught) {
    log::error(log::Part::http, "a handler failed, answering 500",
               {{"route", route.pattern}, {"reason", caught.what()}});
    failed = problem(500, Code::internal, "internal error");
  }
  co_return failed;
}

// True when the connection goes on.
asio::awaitable<bool> HttpSession::serve_one() {
  Incoming incoming;
  incoming.parser.header_limit(static_cast<std::uint32_t>(shared_.limits.header_bytes));
  incoming.parser.body_limit(boost::none);
  incoming.pending = std::exchange(carry_, {});
  const Result<Fed> head = co_await read_head(incoming);
  if (head.has_error() || *head == Fed::end) co_return false;

  ++shared_.counters.requests;
  HttpRequest request;
  request.peer = peer_;
  const bool head_only = incoming.parser.get().method() == http::verb::head;
  if (!fill(request, incoming.parser.get())) {
    co_return co_await answer(problem(400, Code::invalid_argument, "malformed request target"), false, head_only);
  }
  const Match match = match_route(shared_.routes, request);
  if (match.route == nullptr) {
    HttpResponse missing = match.allow.empty()
                               ? problem(404, Code::not_found, "no such route: " + printable(request.path, 200))
                               : problem(405, Code::unimplemented, request.method + " is not for this route");
    if (!match.allow.empty()) missing.headers.emplace_back("Allow", match.allow);
    co_return co_await answer(std::move(missing), false, head_only);
  }
  std::optional<HttpResponse> refused = shared_.guard ? shared_.guard(request) : std::nullopt;
  if (!refused && match.route->guard) refused = match.route->guard(request);
  const auto length = incoming.parser.content_length();
  if (!refused && length && *length > match.route->body_limit) refused = parse_problem(http::error::body_limit);
  if (refused) {
    // The body has not been read: only without one can the connection go on.
    const bool keep = incoming.parser.is_done() && incoming.parser.keep_alive() && !refused->close;
    carry_ = std::move(incoming.pending);
    co_return co_await answer(std::move(*refused), keep, head_only);
  }
  incoming.parser.body_limit(match.route->body_limit);
  const Result<Fed> body = co_await read_body(incoming);
  if (body.has_error() || *body == Fed::end) co_return false;
  request.body = std::move(incoming.parser.get().body());
  carry_ = std::move(incoming.pending);

  set_deadline(shared_.limits.write_timeout);
  const bool keep = incoming.parser.keep_alive();
  HttpResponse response = co_await handle(*match.route, request);
  co_return co_await answer(std::move(response), keep, head_only);
}

asio::awaitable<bool> HttpSession::answer(HttpResponse response, bool keep_alive, bool head_only) {
  const bool keep = keep_alive && !response.close && !shared_.stopping;
  set_deadline(shared_.limits.write_timeout);
  std::string bytes = response_head(response, keep);
  const bool shared = response.shared_body && !response.stream;
  if (!response.stream && !shared && !head_only) bytes += response.body;
  if ((co_await stream_.write_all(bytes)).has_error()) co_return false;
  if (shared && !head_only) {
    const Result<> wrote = co_await stream_.write_all(*response.shared_body);
    if (wrote.has_error()) co_return false;
  }
  if (!response.stream || head_only) co_return keep;
  streaming_ = true;
  deadline_ = stop_by_;
  ChunkedBody body(stream_, [this](bool writing) {
    if (writing) {
      set_deadline(shared_.limits.write_timeout);
    } else {
      deadline_ = stop_by_;
    }
  });
  const Result<> streamed = co_await response.stream(body);
  streaming_ = false;
  set_deadline(shared_.limits.write_timeout);
  if (streamed.has_error()) co_return false;
  co_return (co_await stream_.write_all("0\r\n\r\n")).has_value() && keep;
}

}  // namespace omnitide::io
