// The container runtime, asked as the kubelet asks it.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/daemon/health_kubernetes.hpp"
#include "agent/daemon/health_looks.hpp"
#include "agent/io/grpc.hpp"
#include "agent/io/http2_client.hpp"
#include "health/checks/checks.hpp"
#include "omnitide/peer/v1/container_runtime.pb.h"

namespace omnitide::daemon {

namespace asio = boost::asio;
namespace cri = peer::v1;
using health::Finding;
using health::Verdict;

namespace {

// Socket to ask: empty when there is none; `installed`: whether a runtime is on the disk.
struct RuntimePlace {
  std::string socket;
  bool installed = false;
};

RuntimePlace find_runtime(const KubernetesNode& node) {
  struct stat info {};
  const auto there = [&](const std::string& path) { return ::stat((node.root + path).c_str(), &info) == 0; };
  RuntimePlace out;
  for (const std::string& socket : node.sockets)
    if (out.socket.empty() && there(socket) && S_ISSOCK(info.st_mode)) out.socket = node.root + socket;
  for (const char* trace : {"/var/lib/containerd", "/etc/crio", "/var/lib/cri-dockerd", "/var/lib/rancher"})
    out.installed = out.installed || there(trace);
  return out;
}

Finding runtime_problem(const Error& error, health::Evidence where) {
  // A runtime of which Kubernetes' interface is switched off, as Docker's containerd is, serves no kubelet.
  if (error.code == Code::unimplemented)
    return health::unknown("the container runtime does not offer its interface (CRI v1)");
  if (error.code == Code::permission_denied)
    return health::unknown("the agent's user may not open the container runtime's socket: " + error.text());
  return finding_of(Verdict::bad, "RuntimeNotReached", "the container runtime does not answer: " + error.text(),
                    std::move(where));
}

Finding runtime_finding(const cri::RuntimeVersionResponse& version, const cri::RuntimeStatus& status,
                        health::Evidence where) {
  const std::string name = fmt::format("{} {}", version.runtime_name(), version.runtime_version());
  where.emplace_back("runtime", printable(name, kLongestTold));
  for (const cri::RuntimeCondition& condition : status.conditions()) {
    if (condition.status()) continue;
    const std::string said = fmt::format("{} {}", condition.reason(), condition.message());
    if (condition.type() == "RuntimeReady")
      return finding_of(Verdict::bad, "RuntimeNotReady", fmt::format("{} says that it is not ready: {}", name, said),
                        where);
  }
  return finding_of(Verdict::good, "RuntimeIsHealthy", name + " is ready");
}

asio::awaitable<Finding> ask_runtime(KubernetesNode node, std::shared_ptr<ProbeRun> run) {
  std::function<Result<RuntimePlace>()> job = [node] { return Result<RuntimePlace>(find_runtime(node)); };
  const Result<RuntimePlace> place =
      co_await run->workers().run_for<RuntimePlace>(job, std::min(run->left(), kLongestProbeJob));
  if (place.has_error()) co_return health::unknown(place.error().text());
  if (place->socket.empty()) {
    if (place->installed && node.known(kRuntimeCondition, kRuntimeCheck))
      co_return finding_of(Verdict::bad, "RuntimeNotReached", "the container runtime's socket is not there any more");
    co_return health::unknown("no container runtime is on this node");
  }
  const health::Evidence where{{"socket", place->socket}};
  io::Http2Options options{.endpoint = "unix:" + place->socket, .tls = {}};
  options.connect_timeout = run->left();
  options.body_limit = 256U << 10U;
  const auto client = std::make_shared<io::Http2Client>(run->context(), std::move(options));
  run->on_stop([client] { client->close(); });
  cri::RuntimeVersionRequest version_request;
  version_request.set_version("v1");
  const Result<std::string> said = co_await io::grpc_call(*client, "/runtime.v1.RuntimeService/Version",
                                                          version_request.SerializeAsString(), run->left());
  if (said.has_error()) co_return runtime_problem(said.error(), where);
  const Result<std::string> told = co_await io::grpc_call(*client, "/runtime.v1.RuntimeService/Status",
                                                          cri::RuntimeStatusRequest().SerializeAsString(), run->left());
  client->close();
  if (told.has_error()) co_return runtime_problem(told.error(), where);
  cri::RuntimeVersionResponse version;
  cri::RuntimeStatusResponse status;
  if (!version.ParseFromString(*said) || !status.ParseFromString(*told))
    co_return runtime_problem(fail(Code::data_loss, "its answer is not of the interface"), where);
  co_return runtime_finding(version, status.status(), where);
}

}  // namespace

Look runtime_look(const KubernetesNode& node) {
  return [node](std::shared_ptr<ProbeRun> run) { return ask_runtime(node, std::move(run)); };
}

}  // namespace omnitide::daemon
