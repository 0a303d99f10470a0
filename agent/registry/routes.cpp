#include "agent/registry/routes.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kSmall = 16U << 10U, kMedium = 64U << 10U, kFacts = 2U << 20U;
constexpr std::size_t kPolicy = 2 * kMostDocument;  // as JSON a text grows

template <class T>
using Function = Answer<T> (*)(Context&, io::HttpRequest&);
using Plain = asio::awaitable<io::HttpResponse> (*)(Context&, io::HttpRequest&);

io::HttpResponse counted(Context& context, io::HttpResponse response) {
  ++context.counters.answers[response.status];
  return response;
}

template <class T>
io::Handler handler(Context& context, Function<T> function) {
  return [&context, function](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
    const Result<T> result = co_await function(context, request);
    co_return counted(context, result.has_error() ? refuse(result.error()) : reply(request, *result));
  };
}

io::Handler handler(Context& context, Plain function) {
  return [&context, function](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
    co_return counted(context, co_await function(context, request));
  };
}

// Not more often than the rate: a node by its name, anybody else by address.
std::optional<io::HttpResponse> too_often(Context& context, const io::HttpRequest& request) {
  const auto& certificate = request.peer->certificate;
  const bool node = certificate && certificate->organizational_unit == "node";
  io::RateLimiter& limiter = node ? context.by_node : context.strangers;
  const auto wait =
      limiter.refuse(node ? certificate->common_name : request.peer->holder, std::chrono::steady_clock::now());
  if (!wait) return std::nullopt;
  ++context.counters.rate_limited;
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(*wait);
  return counted(context, refuse(fail(Code::resource_exhausted,
                                      node ? "too many requests of this node" : "too many requests from this address"),
                                 seconds));
}

io::Guard limited(Context& context) {
  return [&context](const io::HttpRequest& request) { return too_often(context, request); };
}

io::Guard limited(Context& context, io::Guard guard) {
  return [&context, guard = std::move(guard)](const io::HttpRequest& request) {
    std::optional<io::HttpResponse> refused = guard(request);
    return refused ? std::move(refused) : too_often(context, request);
  };
}

Error no_certificate(const char* whose) {
  return fail(Code::unauthenticated, fmt::format("this needs {} certificate", whose));
}

// The node named in the path, by its certificate.
std::optional<Error> why_not_node(const Context& context, const io::HttpRequest& request) {
  const auto& certificate = request.peer->certificate;
  if (!certificate || certificate->organizational_unit != "node") return no_certificate("a node's");
  if (certificate->common_name != parameter(request, "id")) {
    return fail(Code::permission_denied, fmt::format("the certificate is of node {}, not of the one in the path",
                                                     printable(certificate->common_name, 64)));
  }
  if (certificate->not_after <= context.now()) {
    return Error{.code = Code::unauthenticated,
                 .message = fmt::format("the certificate expired at {}", format_rfc3339(certificate->not_after)),
                 .field = "certificate/expired",
                 .hint = "POST /v1/rejoin with the expired certificate and a proof of its key"};
  }
  return std::nullopt;
}

std::optional<Error> why_not_operator(const Context& context, const io::HttpRequest& request) {
  const auto& certificate = request.peer->certificate;
  if (!certificate) return no_certificate("an operator's");
  if (certificate->organizational_unit != "operator") {
    return fail(Code::permission_denied, "this needs an operator's certificate");
  }
  if (certificate->not_after <= context.now()) {
    return fail(Code::unauthenticated,
                fmt::format("the operator certificate expired at {}", format_rfc3339(certificate->not_after)))
        .with_hint("another operator can make a new one");
  }
  const auto known = context.operators.find(certificate->serial);
  if (known == context.operators.end() || known->second.revoked) {
    return fail(Code::permission_denied, known == context.operators.end() ? "the operator certificate is not known here"
                                                                          : "the operator certificate was revoked");
  }
  // A page of another site must not use the certificate that a browser holds.
  if (!request.header("origin").empty()) return fail(Code::permission_denied, "requests from web pages are not taken");
  return std::nullopt;
}

io::Guard guarded_by(Context& context, std::optional<Error> (*why_not)(const Context&, const io::HttpRequest&)) {
  return [&context, why_not](const io::HttpRequest& request) -> std::optional<io::HttpResponse> {
    const std::optional<Error> refused = why_not(context, request);
    if (!refused) return std::nullopt;
    return counted(context, refuse(*refused));
  };
}

io::HttpResponse plain_text(std::string text, const char* type = "text/plain; charset=utf-8") {
  io::HttpResponse response;
  response.content_type = type;
  response.body = std::move(text);
  return response;
}

io::Handler metrics_handler(Context& context, View view) {
  return [&context, view = std::move(view)](io::HttpRequest& /*request*/) -> asio::awaitable<io::HttpResponse> {
    co_return plain_text(render_metrics(context, view()), "text/plain; version=0.0.4; charset=utf-8");
  };
}

void add_probes(Context& context, std::vector<io::Route>& routes) {
  routes.push_back({"GET", "/healthz", [](io::HttpRequest& /*request*/) -> asio::awaitable<io::HttpResponse> {
                      co_return plain_text("ok\n");
                    }});
  routes.push_back({"GET", "/readyz", [&context](io::HttpRequest& /*request*/) -> asio::awaitable<io::HttpResponse> {
                      if (context.stopping) co_return refuse(fail(Code::unavailable, "the registry is stopping"));
                      co_return plain_text("ok\n");
                    }});
}

}  // namespace

const std::string& parameter(const io::HttpRequest& request, const char* name) {
  static const std::string kNothing;
  const auto found = request.params.find(name);
  return found == request.params.end() ? kNothing : found->second;
}

std::string query(const io::HttpRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

Error no_such_node(std::string_view node_id) {
  return fail(Code::not_found, fmt::format("there is no node {}", printable(node_id, 80)));
}

std::vector<io::Route> main_routes(Context& context, View view) {
  Context& c = context;
  const io::Guard anyone = limited(c);
  const io::Guard node = guarded_by(c, why_not_node);
  const io::Guard by_operator = guarded_by(c, why_not_operator);
  std::vector<io::Route> routes{
      {"POST", "/v1/nonce", handler(c, issue_nonce), kSmall, anyone},
      {"POST", "/v1/join", handler(c, join), kMedium, anyone},
      {"POST", "/v1/rejoin", handler(c, rejoin), kMedium, anyone},
      {"POST", "/v1/nodes/{id}/heartbeat", handler(c, heartbeat), kSmall, node},
      {"GET", "/v1/nodes/{id}/desired-state", handler(c, desired_state), kSmall, node},
      {"PUT", "/v1/nodes/{id}", handler(c, put_node), kFacts, node},
      {"POST", "/v1/nodes/{id}/reboot-lease", handler(c, lease_reboot), kSmall, limited(c, node)},
      {"POST", "/v1/nodes/{id}/renew", handler(c, renew), kMedium, limited(c, node)},
      {"GET", "/v1/nodes", handler(c, list_nodes), kSmall, by_operator},
      {"GET", "/v1/nodes:watch", handler(c, watch_nodes), kSmall, by_operator},
      {"GET", "/v1/nodes/{id}", handler(c, show_node), kSmall, by_operator},
      {"DELETE", "/v1/nodes/{id}", handler(c, remove_node), kSmall, by_operator},
      {"POST", "/v1/nodes/{id}:approve", handler(c, approve_node), kSmall, by_operator},
      {"POST", "/v1/nodes/{id}:quarantine", handler(c, quarantine_node), kSmall, by_operator},
      {"POST", "/v1/nodes/{id}:ban", handler(c, ban_node), kSmall, by_operator},
      {"POST", "/v1/nodes/{id}:labels", handler(c, label_node), kMedium, by_operator},
      {"POST", "/v1/nodes/{id}:replace", handler(c, replace_node), kSmall, by_operator},
      {"GET", "/v1/tokens", handler(c, list_tokens), kSmall, by_operator},
      {"POST", "/v1/tokens", handler(c, make_token), kMedium, by_operator},
      {"POST", "/v1/tokens/{id}:revoke", handler(c, revoke_token), kSmall, by_operator},
      {"GET", "/v1/operators", handler(c, list_operators), kSmall, by_operator},
      {"POST", "/v1/operators", handler(c, make_operator), kMedium, by_operator},
      {"POST", "/v1/operators/{id}:revoke", handler(c, revoke_operator), kSmall, by_operator},
      {"GET", "/v1/authorities", handler(c, list_authorities), kSmall, by_operator},
      {"POST", "/v1/authorities:next", handler(c, make_next_authority), kSmall, by_operator},
      {"POST", "/v1/authorities:activate", handler(c, activate_authority), kSmall, by_operator},
      {"GET", "/v1/policies", handler(c, list_policies), kSmall, by_operator},
      {"GET", "/v1/policies/{name}", handler(c, show_policy), kSmall, by_operator},
      {"GET", "/v1/policies/{name}/revisions", handler(c, list_revisions), kSmall, by_operator},
      {"PUT", "/v1/policies/{name}", handler(c, put_policy), kPolicy, by_operator},
      {"DELETE", "/v1/policies/{name}", handler(c, remove_policy), kSmall, by_operator},
      {"GET", "/v1/desired-states", handler(c, list_desired_states), kSmall, by_operator},
      {"GET", "/v1/backup", handler(c, back_up), kSmall, by_operator},
      {"POST", "/v1/restore", handler(c, restore_online), c.options.restore_limit, by_operator},
      {"GET", "/metrics", metrics_handler(c, std::move(view)), kSmall, by_operator},
  };
  add_probes(c, routes);
  return routes;
}

std::vector<io::Route> metrics_routes(Context& context, View view) {
  std::vector<io::Route> routes{{"GET", "/metrics", metrics_handler(context, std::move(view))}};
  add_probes(context, routes);
  return routes;
}

}  // namespace omnitide::registry
