// The agent's own API on RUN_DIR/agent.sock: HTTP, JSON or protobuf. Its group reads; what changes something needs uid
// 0 or the agent's own user, by SO_PEERCRED.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/base/log.hpp"
#include "agent/io/http_server.hpp"

namespace omnitide::node::v1 {
class Discovery;
class FlowList;
class HealthHistory;
class HealthStatus;
class MetricFamilyList;
class PolicyStatus;
class PolicyTextList;
class PolicyWaitResponse;
class Status;
class TelemetryMessageList;
class TelemetryStatus;
}  // namespace omnitide::node::v1

namespace omnitide::daemon {

struct LocalSources {
  std::function<void(node::v1::Status&)> status;
  std::function<void(node::v1::Discovery&)> discovery;
  std::function<void(log::Part, log::Level, std::chrono::seconds)> set_log_level;
  // Of network policy; they fail with failed_precondition while it is off.
  std::function<Result<>(node::v1::PolicyStatus&)> policy{};
  // What the registry gave, as it gave it, and what the Kubernetes API server says ("kubernetes:KIND/NAME").
  std::function<boost::asio::awaitable<Result<>>(node::v1::PolicyTextList&)> policy_documents{};
  std::function<boost::asio::awaitable<Result<>>(std::chrono::milliseconds timeout, node::v1::PolicyWaitResponse&)>
      policy_wait{};
  std::function<boost::asio::awaitable<Result<>>(std::uint64_t after, std::chrono::milliseconds patience,
                                                 node::v1::FlowList&)>
      flows{};
  std::function<boost::asio::awaitable<Result<>>(node::v1::MetricFamilyList&)> metrics{};  // one collection
  // Of health; they fail with failed_precondition while it is off.
  std::function<Result<>(node::v1::HealthStatus&)> health{};
  std::function<Result<>(node::v1::HealthHistory&)> health_history{};
  std::function<Result<>(std::chrono::seconds)> health_pause{};  // 0: until resumed
  std::function<Result<>()> health_resume{};
  std::function<boost::asio::awaitable<Result<>>(std::string check, node::v1::HealthStatus&)> health_run{};
  // Of telemetry; they fail with failed_precondition while it is off.
  std::function<Result<>(node::v1::TelemetryStatus&)> telemetry{};
  std::function<boost::asio::awaitable<Result<>>(std::uint64_t after, std::chrono::milliseconds patience,
                                                 node::v1::TelemetryMessageList&)>
      telemetry_messages{};
};

// A guard of routes: uid 0 or the agent's own user.
[[nodiscard]] std::optional<io::HttpResponse> only_root(const io::HttpRequest& request);

// Listens at once; the server lives as long as the returned object.
[[nodiscard]] Result<std::unique_ptr<io::HttpServer>> open_local_api(boost::asio::io_context& context,
                                                                     const std::string& socket_path,
                                                                     LocalSources sources);

}  // namespace omnitide::daemon
