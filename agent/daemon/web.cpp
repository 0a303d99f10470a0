#include "agent/daemon/web.hpp"

#include <fmt/format.h>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/metrics/host_check.hpp"
#include "agent/metrics/render.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using metrics::Authenticator;

namespace {

constexpr std::size_t kMaxBearer = 4096;
constexpr std::chrono::seconds kVerifyDeadline{10};

io::HttpResponse text(unsigned status, std::string body) {
  io::HttpResponse out;
  out.status = status;
  out.content_type = "text/plain; charset=utf-8";
  out.body = std::move(body);
  return out;
}

// A Host that is no address and no known name comes from a page that rebound its own name to this machine.
io::Guard host_guard(std::vector<std::string> names) {
  return [names = std::move(names)](const io::HttpRequest& request) -> std::optional<io::HttpResponse> {
    if (metrics::host_allowed(request.header("host"), names)) return std::nullopt;
    return io::error_response(Error{.code = Code::permission_denied,
                                    .message = "the Host header names another server",
                                    .field = "Host",
                                    .hint = "ask by address, or add the name to http.allowed_hosts"});
  };
}

}  // namespace

Result<std::unique_ptr<Web>> Web::open(asio::io_context& context, io::WorkerPool& pool,
                                       const config::HttpConfig& config, Sources sources) {
  std::unique_ptr<Web> web(new Web(pool, config, std::move(sources)));
  std::string bearer;
  if (!config.bearer_token_file.empty()) {
    Result<std::string> read = read_file(config.bearer_token_file, kMaxBearer);
    if (read.has_error()) return std::move(read).error().within("http.bearer_token_file");
    bearer = std::string(trim(*read));
    if (bearer.empty())
      return fail(Code::invalid_argument, "http.bearer_token_file: " + config.bearer_token_file + " holds no token");
  }
  if (!config.web_config_file.empty()) {
    Result<metrics::WebConfig> loaded = metrics::load_web_config(config.web_config_file);
    if (loaded.has_error()) return std::move(loaded).error().within("http.web_config_file");
    web->web_ = std::move(*loaded);
  }
  io::TlsContext tls;
  if (web->web_.tls) {
    Result<io::TlsContext> made = metrics::make_tls(*web->web_.tls);
    if (made.has_error()) return std::move(made).error().within("http.web_config_file");
    tls = *made;
  }
  web->authenticator_ = std::make_shared<Authenticator>(web->web_.users, bearer);
  io::ServerLimits limits;
  limits.connections = 128;
  web->server_ = std::make_unique<io::HttpServer>(context, web->routes(), limits, host_guard(config.allowed_hosts));
  const Result<std::uint16_t> port = web->server_->listen_tcp(config.listen, tls);
  if (port.has_error()) return port.error();
  const std::string base =
      fmt::format("{}://{}:{}", tls ? "https" : "http", config.listen.substr(0, config.listen.rfind(':')), *port);
  web->urls_ = {base + "/metrics", base + "/healthz", base + "/readyz"};
  return web;
}

io::HttpResponse Web::finish(io::HttpResponse response) const {
  for (const auto& header : web_.headers)
    response.headers.push_back(header);
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

asio::awaitable<io::HttpResponse> Web::authenticated(io::HttpRequest& request,
                                                     std::function<io::HttpResponse()> answer) {
  const std::string credentials(request.header("authorization"));
  Authenticator::Verdict verdict = authenticator_->check(credentials);
  if (verdict == Authenticator::Verdict::unknown) {
    std::function<Result<bool>()> job = [authenticator = authenticator_, credentials]() -> Result<bool> {
      return authenticator->verify(credentials);
    };
    const Result<bool> good = co_await pool_.run_for<bool>(std::move(job), kVerifyDeadline);
    verdict = good.has_error() ? Authenticator::Verdict::busy
              : *good          ? Authenticator::Verdict::granted
                               : Authenticator::Verdict::denied;
  }
  if (verdict == Authenticator::Verdict::granted) co_return finish(answer());
  if (verdict == Authenticator::Verdict::busy) {
    io::HttpResponse busy = text(503, "too many log-ins at once, try again\n");
    busy.headers.emplace_back("Retry-After", "1");
    co_return finish(std::move(busy));
  }
  io::HttpResponse denied = text(401, "authentication needed\n");
  denied.headers.emplace_back("WWW-Authenticate", authenticator_->challenge());
  co_return finish(std::move(denied));
}

asio::awaitable<io::HttpResponse> Web::metrics_page(io::HttpRequest& request) {
  io::HttpResponse answer = co_await authenticated(request, [] { return text(200, {}); });
  if (answer.status != 200) co_return answer;
  const std::shared_ptr<const metrics::Collection> collection = co_await sources_.collect({});
  answer.body = metrics::render(collection->batches()).text;
  answer.content_type = std::string(metrics::content_type(metrics::TextFormat::prometheus));
  co_return answer;
}

std::vector<io::Route> Web::routes() {
  const auto page = [this](std::string pattern, std::function<io::HttpResponse()> answer) {
    io::Route route;
    route.method = "GET";
    route.pattern = std::move(pattern);
    route.body_limit = 0;
    route.handler = [this, answer = std::move(answer)](io::HttpRequest& request) {
      return authenticated(request, answer);
    };
    return route;
  };
  io::Route metrics_route = page("/metrics", [] { return io::HttpResponse{}; });
  metrics_route.handler = [this](io::HttpRequest& request) { return metrics_page(request); };
  return {
      page("/healthz", [] { return text(200, "ok\n"); }),
      page("/readyz",
           [this] {
             const std::string reason = sources_.not_ready_because();
             return reason.empty() ? text(200, "ready\n") : text(503, "not ready: " + reason + "\n");
           }),
      metrics_route,
      page("/", [this] { return text(200, sources_.summary()); }),
  };
}

}  // namespace omnitide::daemon
