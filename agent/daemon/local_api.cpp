#include "agent/daemon/local_api.hpp"

#include <unistd.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/node/v1/health.pb.h"
#include "omnitide/node/v1/local.pb.h"
#include "omnitide/node/v1/metrics.pb.h"
#include "omnitide/node/v1/telemetry_status.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace v1 = node::v1;

namespace {

constexpr std::string_view kProtobuf = "application/x-protobuf";
constexpr std::chrono::hours kLongestLevel{24 * 7}, kLongestPause{24 * 366};
constexpr std::chrono::milliseconds kLongestWait{600'000}, kLongestPatience{30'000};

// A number in the query; 0 when it is absent or none.
std::uint64_t number(const io::HttpRequest& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? 0 : parse_number<std::uint64_t>(found->second).value_or(0);
}

io::HttpResponse message(const io::HttpRequest& request, const google::protobuf::MessageLite& body) {
  io::HttpResponse out;
  const bool binary = request.header("accept") == kProtobuf;
  out.content_type = binary ? std::string(kProtobuf) : "application/json";
  out.body = binary ? body.SerializeAsString() : codec::to_json(body) + "\n";
  return out;
}

Result<> parse_body(const io::HttpRequest& request, google::protobuf::MessageLite& out) {
  if (request.header("content-type") != kProtobuf) return codec::from_json(request.body, out);
  if (out.ParseFromString(request.body)) return {};
  return fail(Code::invalid_argument, "the body is no " + out.GetTypeName());
}

io::HttpResponse done_or(const Result<>& result) {
  if (result.has_error()) return io::error_response(result.error());
  io::HttpResponse done;
  done.content_type = "application/json";
  done.body = "{}\n";
  return done;
}

Result<> set_level(const io::HttpRequest& request, const LocalSources& sources) {
  v1::LogLevelRequest in;
  if (Result<> parsed = parse_body(request, in); parsed.has_error()) return parsed;
  const auto part = log::part_from(in.part());
  const auto level = log::level_from(in.level());
  if (!part)
    return Error{.code = Code::invalid_argument,
                 .message = "there is no part \"" + in.part() + "\"",
                 .field = "part",
                 .hint = "the parts are in `omnitide-agent status`"};
  if (!level)
    return Error{.code = Code::invalid_argument,
                 .message = "there is no level \"" + in.level() + "\"",
                 .field = "level",
                 .hint = "debug, info, warning or error"};
  const std::chrono::seconds duration{in.seconds()};
  if (duration > kLongestLevel)
    return Error{.code = Code::invalid_argument,
                 .message = "a level is set for seven days at the longest",
                 .field = "seconds",
                 .hint = {}};
  sources.set_log_level(*part, *level, duration);
  return {};
}

void add_policy_routes(std::vector<io::Route>& routes, const std::shared_ptr<const LocalSources>& sources) {
  routes.push_back({.method = "GET",
                    .pattern = "/v1/policy",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::PolicyStatus body;
                      const Result<> done = sources->policy(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
  routes.push_back({.method = "GET",
                    .pattern = "/v1/policy/documents",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::PolicyTextList body;
                      const Result<> done = co_await sources->policy_documents(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
  routes.push_back({.method = "POST",
                    .pattern = "/v1/policy/wait",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::PolicyWaitResponse body;
                      const std::chrono::milliseconds timeout(number(request, "timeout"));
                      const Result<> done = co_await sources->policy_wait(std::min(timeout, kLongestWait), body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 4096});
  routes.push_back({.method = "GET",
                    .pattern = "/v1/flows",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::FlowList body;
                      const std::chrono::milliseconds patience(number(request, "wait"));
                      const Result<> done =
                          co_await sources->flows(number(request, "after"), std::min(patience, kLongestPatience), body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
}

void add_metrics_route(std::vector<io::Route>& routes, const std::shared_ptr<const LocalSources>& sources) {
  routes.push_back({.method = "GET",
                    .pattern = "/v1/metrics",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::MetricFamilyList body;
                      const Result<> done = co_await sources->metrics(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
}

void add_telemetry_routes(std::vector<io::Route>& routes, const std::shared_ptr<const LocalSources>& sources) {
  routes.push_back({.method = "GET",
                    .pattern = "/v1/telemetry",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::TelemetryStatus body;
                      const Result<> done = sources->telemetry(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
  routes.push_back({.method = "GET",
                    .pattern = "/v1/telemetry/messages",
                    .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                      v1::TelemetryMessageList body;
                      const std::chrono::milliseconds patience(number(request, "wait"));
                      const Result<> done = co_await sources->telemetry_messages(
                          number(request, "after"), std::min(patience, kLongestPatience), body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
}

using Sources = std::shared_ptr<const LocalSources>;

asio::awaitable<io::HttpResponse> pause_health(io::HttpRequest& request, Sources sources) {
  v1::HealthPauseRequest body;
  Result<> done = parse_body(request, body);
  if (done.has_value() && std::chrono::seconds{body.seconds()} > kLongestPause)
    done = Error{.code = Code::invalid_argument,
                 .message = "a pause is a year at the longest",
                 .field = "seconds",
                 .hint = "0 is until it is resumed"};
  if (done.has_value()) done = sources->health_pause(std::chrono::seconds{body.seconds()});
  co_return done_or(done);
}

asio::awaitable<io::HttpResponse> run_health(io::HttpRequest& request, Sources sources) {
  v1::HealthRunRequest body;
  v1::HealthStatus status;
  if (const Result<> parsed = parse_body(request, body); parsed.has_error())
    co_return io::error_response(parsed.error());
  const Result<> ran = co_await sources->health_run(body.check(), status);
  if (ran.has_error()) co_return io::error_response(ran.error());
  co_return message(request, status);
}

void add_health_routes(std::vector<io::Route>& routes, const Sources& sources) {
  using Answer = asio::awaitable<io::HttpResponse>;
  routes.push_back({.method = "GET",
                    .pattern = "/v1/health",
                    .handler = [sources](io::HttpRequest& request) -> Answer {
                      v1::HealthStatus body;
                      const Result<> done = sources->health(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
  routes.push_back({.method = "GET",
                    .pattern = "/v1/health/history",
                    .handler = [sources](io::HttpRequest& request) -> Answer {
                      v1::HealthHistory body;
                      const Result<> done = sources->health_history(body);
                      if (done.has_error()) co_return io::error_response(done.error());
                      co_return message(request, body);
                    },
                    .body_limit = 0});
  routes.push_back({.method = "POST",
                    .pattern = "/v1/health/pause",
                    .handler = [sources](io::HttpRequest& request) { return pause_health(request, sources); },
                    .body_limit = 4096,
                    .guard = only_root});
  routes.push_back({.method = "POST",
                    .pattern = "/v1/health/resume",
                    .handler = [sources](io::HttpRequest&) -> Answer {
                      const Result<> done = sources->health_resume();
                      co_return done_or(done);
                    },
                    .body_limit = 4096,
                    .guard = only_root});
  routes.push_back({.method = "POST",
                    .pattern = "/v1/health/run",
                    .handler = [sources](io::HttpRequest& request) { return run_health(request, sources); },
                    .body_limit = 4096,
                    .guard = only_root});
}

}  // namespace

std::optional<io::HttpResponse> only_root(const io::HttpRequest& request) {
  const auto uid = request.peer->uid;
  if (uid && (*uid == 0 || *uid == ::geteuid())) return std::nullopt;
  return io::error_response(
      fail(Code::permission_denied, "this changes the agent and is for root").with_hint("run it with sudo"));
}

Result<std::unique_ptr<io::HttpServer>> open_local_api(asio::io_context& context, const std::string& socket_path,
                                                       LocalSources given) {
  const auto sources = std::make_shared<const LocalSources>(std::move(given));
  std::vector<io::Route> routes(3);
  routes[0] = {.method = "GET",
               .pattern = "/v1/status",
               .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                 v1::Status body;
                 sources->status(body);
                 co_return message(request, body);
               },
               .body_limit = 0};
  routes[1] = {.method = "GET",
               .pattern = "/v1/facts",
               .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                 v1::Discovery body;
                 sources->discovery(body);
                 co_return message(request, body);
               },
               .body_limit = 0};
  routes[2] = {.method = "POST",
               .pattern = "/v1/log-level",
               .handler = [sources](io::HttpRequest& request) -> asio::awaitable<io::HttpResponse> {
                 const Result<> set = set_level(request, *sources);
                 co_return done_or(set);
               },
               .body_limit = 4096,
               .guard = only_root};
  add_policy_routes(routes, sources);
  if (sources->metrics) add_metrics_route(routes, sources);
  if (sources->health) add_health_routes(routes, sources);
  if (sources->telemetry) add_telemetry_routes(routes, sources);
  io::ServerLimits limits;
  limits.connections = 64;
  auto server = std::make_unique<io::HttpServer>(context, std::move(routes), limits);
  if (Result<> listening = server->listen_unix(socket_path, 0660); listening.has_error())
    return std::move(listening).error();
  return server;
}

}  // namespace omnitide::daemon
