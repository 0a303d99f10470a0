#include "agent/kubernetes/transport.hpp"

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"

namespace omnitide::kubernetes {

namespace asio = boost::asio;

namespace {

// A connection that is dead without a word is found within the sum of the two, which is less than 30 s.
constexpr std::chrono::seconds kPingAfter{12}, kPingTimeout{10}, kConnectTimeout{10}, kLookup{5};
constexpr std::size_t kMostIdle = 4, kMostAnswer = 16U << 20U;
constexpr std::uint32_t kMostRetryAfter = 3600;

std::optional<std::chrono::seconds> seconds_of(std::string_view text) {
  const auto seconds = parse_number<std::uint32_t>(text);
  if (!seconds) return std::nullopt;
  return std::chrono::seconds(std::min(*seconds, kMostRetryAfter));
}

template <class Response>
Answer answer_of(Response& response) {
  return {.status = response.status,
          .content_type = std::string(response.header("content-type")),
          .body = std::move(response.body),
          .retry_after = seconds_of(response.header("retry-after"))};
}

}  // namespace

Transport::Transport(asio::io_context& context, io::WorkerPool& workers, Credentials& credentials)
    : context_(context), workers_(workers), credentials_(credentials) {}
Transport::~Transport() { close(); }

Result<> Transport::prepare() {
  if (!endpoint_.empty()) return {};
  Result<io::Url> url = io::parse_url(credentials_.access().server);
  if (url.has_error()) return url.error();
  url_ = std::move(*url);
  while (url_.path.ends_with('/'))
    url_.path.pop_back();
  const bool v6 = url_.host.find(':') != std::string::npos;
  endpoint_ = url_.scheme + "://" + (v6 ? "[" + url_.host + "]" : url_.host) + ":" + url_.port;
  return {};
}

asio::awaitable<Result<std::vector<std::string>>> Transport::addresses() {
  ++connections_;
  co_return co_await lookup_.addresses(workers_, url_.host, kLookup);
}

// Asked for before each connection, so that a new certificate or a new CA counts from the next one on.
Result<> Transport::renew() {
  if (client_ && client_->connected()) return {};
  io::TlsContext tls;
  if (url_.scheme == "https") {
    Result<io::TlsContext> made = credentials_.tls();
    if (made.has_error()) return made.error();
    tls = std::move(*made);
  }
  if (client_ && tls.native() == proven_) return {};
  proven_ = tls.native();
  io::Http2Options options{.endpoint = endpoint_, .tls = std::move(tls)};
  options.lookup = [this] { return addresses(); };
  options.server_name = credentials_.access().server_name;
  options.connect_timeout = kConnectTimeout;
  options.body_limit = kMostAnswer;
  options.ping_after = kPingAfter;
  options.ping_timeout = kPingTimeout;
  client_ = std::make_shared<io::Http2Client>(context_, std::move(options));
  return {};
}

asio::awaitable<Result<Answer>> Transport::send(io::Http2Request request) {
  if (Result<> prepared = prepare(); prepared.has_error()) co_return std::move(prepared).error();
  request.path = url_.path + request.path;
  if (!http1_) {
    if (Result<> renewed = renew(); renewed.has_error()) co_return std::move(renewed).error();
    const std::shared_ptr<io::Http2Client> client = client_;
    Result<io::Http2Response> response = co_await client->send(request);
    if (response) co_return answer_of(*response);
    if (response.error().code != Code::unimplemented) co_return std::move(response).error();
    http1_ = true;
  }
  co_return co_await send_http1(std::move(request));
}

std::shared_ptr<io::HttpClient> Transport::take_idle(std::chrono::milliseconds timeout) {
  std::erase_if(idle_, [](const Idle& each) { return !each.client->connected(); });
  const auto found = std::ranges::find(idle_, timeout, &Idle::timeout);
  if (found == idle_.end()) return nullptr;
  std::shared_ptr<io::HttpClient> out = std::move(found->client);
  idle_.erase(found);
  return out;
}

asio::awaitable<Result<Answer>> Transport::send_http1(io::Http2Request request) {
  const unsigned closed = closed_;
  const std::chrono::milliseconds timeout = request.timeout;
  const bool streamed = request.on_bytes != nullptr;
  std::shared_ptr<io::HttpClient> client;
  if (!streamed) client = take_idle(timeout);
  if (!client) {
    Result<std::vector<std::string>> found = co_await addresses();
    if (found.has_error()) co_return std::move(found).error();
    Result<io::TlsContext> tls = credentials_.tls();
    if (tls.has_error()) co_return std::move(tls).error();
    io::ClientOptions options{.endpoint = endpoint_, .tls = std::move(*tls), .local_address = {}};
    options.addresses = std::move(*found);
    options.server_name = credentials_.access().server_name;
    options.timeout = timeout;
    options.body_limit = kMostAnswer;
    options.silence = kPingAfter + kPingTimeout;
    client = std::make_shared<io::HttpClient>(context_, std::move(options));
  }
  if (closed != closed_) co_return fail(Code::aborted, "the client was told to end");
  busy_.push_back(client);
  io::HttpRequest asked;
  asked.method = std::move(request.method);
  asked.path = std::move(request.path);
  asked.headers = std::move(request.headers);
  asked.body = std::move(request.body);
  Result<io::HttpResponse> response = fail(Code::internal, "no answer");
  if (streamed) {
    response = co_await client->stream(std::move(asked), std::move(request.on_bytes));
  } else {
    response = co_await client->send(std::move(asked));
  }
  std::erase(busy_, client);
  if (response.has_error()) {
    http1_ = false;  // whatever comes up again may speak HTTP/2
    co_return std::move(response).error();
  }
  const bool keep = !streamed && client->connected() && closed == closed_;
  if (keep && idle_.size() < kMostIdle) idle_.push_back({client, timeout});
  co_return answer_of(*response);
}

void Transport::close() {
  ++closed_;
  if (client_) client_->close();
  for (const std::shared_ptr<io::HttpClient>& client : busy_)
    client->cancel();
  idle_.clear();
}

}  // namespace omnitide::kubernetes
