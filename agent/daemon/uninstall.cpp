#include "agent/daemon/uninstall.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "agent/base/fd.hpp"
#include "agent/daemon/cni_part.hpp"
#include "agent/daemon/kubernetes_connection.hpp"
#include "agent/daemon/kubernetes_node_part.hpp"
#include "agent/daemon/node_status_part.hpp"
#include "agent/daemon/policy_engine.hpp"
#include "agent/daemon/run_lock.hpp"
#include "agent/daemon/spawn.hpp"
#include "agent/daemon/tuple.hpp"
#include "agent/io/worker_pool.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace k8s = kubernetes;
using namespace std::chrono_literals;
using model::PartState;
using Steps = std::vector<Result<std::string>>;

namespace {

constexpr auto kLeaveClusterTime = 20s, kSetRequest = 10s;
constexpr auto kLookForSet = 500ms;
constexpr unsigned kNotThere = 404;

std::string plugin_socket(const config::Config& config) {
  return config.paths.state_dir + "/" + std::string(cni::kSocketName);
}

// The agent of another pod: its lock is not seen from here, and its folder for the state is.
bool answers_plugin(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(&address.sun_path[0], path.data(), path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Result<std::string> leave_runtime(const config::Config& config) {
  const CniFolders folders = cni_folders(config.kubernetes.cni);
  const Result<bool> removed = remove_cni(folders);
  if (removed.has_error()) return Error{removed.error()}.within("omnitide-cni is left");
  return fmt::format("omnitide-cni is {} {} and {}", *removed ? "taken out of" : "not in", folders.lists,
                     folders.programs);
}

Result<std::string> leave_kernel(const config::Config& config) {
  // Without the folder nothing is pinned, and what is not pinned ended with its agent.
  const bool pins = ::access(config.policy.pin_dir.c_str(), F_OK) == 0 || errno != ENOENT;
  const Result<> removed = pins ? enforcement::Enforcement::remove(enforcement_options(config.policy)) : Result<>();
  if (removed.has_error()) return Error{removed.error()}.within("policy is left in the kernel");
  return "no policy is enforced, and " + config.policy.pin_dir + " is empty";
}

// The parts of an agent that leaves: what they take away then does not depend on what they wrote before.
Steps leave_cluster(const config::Config& config) {
  asio::io_context context;
  io::WorkerPool pool({.threads = 1, .stuck = 2, .queued = 16});
  Result<std::unique_ptr<KubernetesConnection>> opened = KubernetesConnection::open(context, pool, config.kubernetes);
  if (opened.has_error()) return {Error{opened.error()}.within("what is in the cluster is left there")};
  KubernetesConnection& connection = **opened;
  std::string of_node, of_status;
  KubernetesNodePart node(context, connection, config.kubernetes, config.node.name,
                          {.facts = [] { return nullptr; },
                           .removal_problem = [] { return std::string(); },
                           .on_state = [&of_node](PartState, std::string reason) { of_node = std::move(reason); }});
  NodeStatusPart status(context, connection.client(), config,
                        {.conditions = [] { return std::vector<model::Condition>(); },
                         .cordoned = [](bool) {},
                         .cordon_held = [](const std::string&) {},
                         .on_state = [&of_status](PartState, std::string reason) { of_status = std::move(reason); }});
  node.start();
  node.leave(true);
  status.start();
  if (!config.health.remediation.cordon_for.empty()) status.want_cordon({}, false);
  status.leave(true);
  status.stop(connection.hold());
  node.stop();
  connection.stop();
  context.run_for(kLeaveClusterTime);
  Steps out;
  if (node.left() && node.left_behind().empty())
    out.emplace_back(
        fmt::format("Node {} has no labels, NodeInventory, NodeFeature or Lease of the agent", config.node.name));
  else
    out.emplace_back(fail(Code::unavailable, node.left_behind().empty() ? of_node : node.left_behind())
                         .within("left in the cluster"));
  if (status.left())
    out.emplace_back(fmt::format("Node {} has no conditions of the agent", config.node.name));
  else
    out.emplace_back(fail(Code::unavailable, of_status).within("conditions are left on the Node"));
  return out;
}

asio::awaitable<void> take_set_away(asio::io_context& context, k8s::Client& client, std::string path,
                                    std::optional<Result<>>& done) {
  k8s::Request request;
  request.method = "DELETE";
  request.path = path;
  request.content_type = k8s::kJsonType;
  request.body = R"({"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground"})";
  request.timeout = kSetRequest;
  const boost::system::result<k8s::Body, k8s::Fault> deleted = co_await client.ask(std::move(request));
  if (deleted.has_error() && deleted.error().status != kNotThere) {
    done = Result<>(deleted.error().error);
    co_return;
  }
  asio::steady_timer timer(context);
  while (true) {
    k8s::Request look;
    look.path = path;
    look.timeout = kSetRequest;
    const boost::system::result<k8s::Body, k8s::Fault> found = co_await client.ask(std::move(look));
    if (found.has_error() && found.error().status == kNotThere) {
      done = Result<>();
      co_return;
    }
    timer.expires_after(kLookForSet);
    co_await timer.async_wait(kTuple);
  }
}

}  // namespace

Steps uninstall_node(const config::Config& config) {
  const Error runs = fail(Code::failed_precondition, "an agent runs on this node, and would put everything back")
                         .with_hint("delete its DaemonSet, or keep it from this node, first");
  const Result<UniqueFd> lock = take_run_lock(config.paths.run_dir);
  if (lock.has_error() && lock.error().code == Code::unavailable) return {runs};
  if (lock.has_error()) return {lock.error()};
  if (answers_plugin(plugin_socket(config))) return {runs};
  // The plugin first, as an agent does it: then nothing that starts meanwhile is closed by it.
  Steps out{leave_runtime(config), leave_kernel(config)};
  ::unlink(plugin_socket(config).c_str());
  ::unlink((config.paths.state_dir + "/kubernetes-objects").c_str());
  if (!config.kubernetes.enabled) return out;
  for (Result<std::string>& step : leave_cluster(config))
    out.push_back(std::move(step));
  return out;
}

Result<> remove_daemon_set(const config::Config& config, std::chrono::milliseconds timeout) {
  const std::string& set = config.kubernetes.daemon_set;
  const std::size_t slash = set.find('/');
  if (slash == std::string::npos)
    return fail(Code::invalid_argument, "kubernetes.daemon_set does not say which one: NAMESPACE/NAME");
  asio::io_context context;
  io::WorkerPool pool({.threads = 1, .stuck = 2, .queued = 16});
  const Result<std::unique_ptr<KubernetesConnection>> opened =
      KubernetesConnection::open(context, pool, config.kubernetes);
  if (opened.has_error()) return opened.error();
  std::optional<Result<>> done;
  spawn_on(context,
           take_set_away(context, (*opened)->client(),
                         k8s::object_path(k8s::kDaemonSets, {set.substr(0, slash), set.substr(slash + 1)}), done),
           [&done](const std::string& reason) { done = Result<>(fail(Code::internal, reason)); });
  const SteadyTime until = std::chrono::steady_clock::now() + timeout;
  while (!done && std::chrono::steady_clock::now() < until && context.run_one_until(until) > 0) {
  }
  if (done) return std::move(*done);
  return fail(Code::deadline_exceeded, fmt::format("pods of {} are there still", set))
      .with_hint("kubectl -n " + set.substr(0, slash) + " get pods -o wide");
}

}  // namespace omnitide::daemon
