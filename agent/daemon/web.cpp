#include "agent/daemon/web.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/metrics/host_check.hpp"
#include "agent/metrics/negotiate.hpp"

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
  if (config.page) web->urls_.push_back(base + "/");
  return web;
}

io::HttpResponse Web::finish(io::HttpResponse response) const {
  // What the operator configured is instead of our own.
  for (const auto& header : web_.headers) {
    std::erase_if(response.headers, [&header](const auto& own) { return own.first == header.first; });
    response.headers.push_back(header);
  }
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  return response;
}

asio::awaitable<std::optional<io::HttpResponse>> Web::refusal(io::HttpRequest& request) {
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
  std::optional<io::HttpResponse> out;
  if (verdict == Authenticator::Verdict::busy) {
    out = text(503, "too many log-ins at once, try again\n");
    out->headers.emplace_back("Retry-After", "1");
  } else if (verdict != Authenticator::Verdict::granted) {
    out = text(401, "authentication needed\n");
    out->headers.emplace_back("WWW-Authenticate", authenticator_->challenge());
  }
  co_return out;
}

// For who probes and holds no secret: yes or no, not why.
io::Route Web::health_route(std::string pattern, std::function<io::HttpResponse()> answer) {
  io::Route out = route(pattern, {});
  out.handler = [this, answer = std::move(answer)](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
    io::HttpResponse response = answer();
    std::optional<io::HttpResponse> refused = co_await refusal(request);
    if (refused && config_.open_health) {
      response.body = response.status == 200 ? "ok\n" : "not ready\n";
    } else if (refused) {
      response = std::move(*refused);
    }
    co_return finish(std::move(response));
  };
  return out;
}

asio::awaitable<io::HttpResponse> Web::authenticated(io::HttpRequest& request, const Answer& answer) {
  std::optional<io::HttpResponse> refused = co_await refusal(request);
  if (refused) co_return finish(std::move(*refused));
  io::HttpResponse out = co_await answer(request);
  co_return finish(std::move(out));
}

// node_exporter's parameter: collect[]=cpu&collect[]=meminfo.
asio::awaitable<io::HttpResponse> Web::metrics_page(io::HttpRequest& request) {
  std::vector<std::string> only = request.query_values("collect[]");
  const std::vector<std::string> known = sources_.collectors();
  for (const std::string& name : only) {
    if (std::ranges::find(known, name) == known.end())
      co_return text(400, fmt::format("there is no collector \"{}\", or it is off\n", printable(name, 80)));
  }
  const std::shared_ptr<const metrics::Collection> collection = co_await sources_.collect(std::move(only));
  io::HttpResponse out = co_await scrape_.answer(request, collection, collection->batches());
  co_return out;
}

io::Route Web::route(std::string pattern, Answer answer) {
  io::Route out;
  out.method = "GET";
  out.pattern = std::move(pattern);
  out.body_limit = 0;
  out.handler = [this, answer = std::move(answer)](io::HttpRequest& request) { return authenticated(request, answer); };
  return out;
}

void Web::add_page(std::vector<io::Route>& routes) {
  const auto constant = [](std::string_view body, std::string type) {
    return [body, type = std::move(type)](io::HttpRequest&) -> asio::awaitable<io::HttpResponse> {
      io::HttpResponse out = text(200, std::string(body));
      out.content_type = type;
      out.headers.emplace_back("Cache-Control", "no-cache");
      co_return out;
    };
  };
  routes.push_back(route("/page.css", constant(kPageStyle, "text/css; charset=utf-8")));
  routes.push_back(route("/page.js", constant(kPageScript, "text/javascript; charset=utf-8")));
  routes.push_back(route("/page/state", [this](io::HttpRequest&) -> asio::awaitable<io::HttpResponse> {
    const PageView view = co_await sources_.page();
    io::HttpResponse out = text(200, page_state(view));
    out.content_type = "application/json";
    out.headers.emplace_back("Cache-Control", "no-store");
    co_return out;
  }));
}

std::vector<io::Route> Web::routes() {
  std::vector<io::Route> out{
      health_route("/healthz", [] { return text(200, "ok\n"); }),
      health_route("/readyz",
                   [this] {
                     const std::string reason = sources_.not_ready_because();
                     return reason.empty() ? text(200, "ready\n") : text(503, "not ready: " + reason + "\n");
                   }),
      route("/metrics", [this](io::HttpRequest& request) { return metrics_page(request); }),
      route("/", [this](io::HttpRequest& request) { return front(request); }),
  };
  if (config_.page) add_page(out);
  return out;
}

// The page for browsers; a few lines of text for all others, and with the page off for everybody.
asio::awaitable<io::HttpResponse> Web::front(io::HttpRequest& request) {
  if (!config_.page || !metrics::wants_html(request.header("accept"))) co_return text(200, sources_.summary());
  const PageView view = co_await sources_.page();
  io::HttpResponse out = text(200, page_html(view));
  out.content_type = "text/html; charset=utf-8";
  out.headers.emplace_back("Content-Security-Policy", kPagePolicy);
  out.headers.emplace_back("Referrer-Policy", "no-referrer");
  out.headers.emplace_back("Cache-Control", "no-store");
  out.headers.emplace_back("Vary", "Accept");
  co_return out;
}

}  // namespace omnitide::daemon
