#include "agent/daemon/health_kubernetes.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "health/checks/checks.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;

namespace {

constexpr std::chrono::milliseconds kLongestAnswer = 5s;

bool exists(const std::string& path) {
  struct stat ignored {};
  return ::lstat(path.c_str(), &ignored) == 0;
}

// A node has a kubelet when it answered before and has left its folder, or when it has joined a cluster and systemd
// starts it with the machine. One that is only installed need not answer.
bool has_kubelet(const std::string& root, bool known) {
  if (known) return exists(root + "/var/lib/kubelet");
  return exists(root + "/var/lib/kubelet/config.yaml") &&
         exists(root + "/etc/systemd/system/multi-user.target.wants/kubelet.service");
}

asio::awaitable<Finding> kubelet_finding(Look look, KubernetesNode node, std::shared_ptr<ProbeRun> run) {
  Finding found = co_await look(run);
  if (found.verdict == Verdict::good) {
    found.reason = "KubeletIsHealthy";
    found.message = "the kubelet says that it is well";
    co_return found;
  }
  if (found.reason != "NotReached") {
    found.reason = "KubeletUnhealthy";
    found.message = "the kubelet is not well: " + found.message;
    co_return found;
  }
  std::function<Result<int>()> job = [root = node.root, known = node.known(kKubeletCondition, kKubeletCheck)] {
    return Result<int>(has_kubelet(root, known) ? 1 : 0);
  };
  const Result<int> there = co_await run->workers().run_for<int>(job, run->left());
  if (there.has_value() && *there == 0) co_return health::unknown("no kubelet answers on this node");
  found.reason = "KubeletNotReached";
  found.message = "the kubelet does not answer: " + found.message;
  co_return found;
}

}  // namespace

std::vector<Probe> kubernetes_probes(const KubernetesNode& node) {
  config::HealthCheckConfig request;
  request.kind = config::CheckKind::http;
  request.target = node.kubelet;
  request.status = 200;
  Probe probe;
  probe.name = kKubeletCheck;
  probe.condition = kKubeletCondition;
  probe.what = "what the kubelet says at " + node.kubelet;
  probe.interval = node.interval;
  probe.timeout = std::min(kLongestAnswer, node.interval);
  probe.hysteresis = {3, 1, 3};
  probe.look = [look = http_look(request), node](std::shared_ptr<ProbeRun> run) {
    return kubelet_finding(look, node, std::move(run));
  };
  Probe runtime = probe;
  runtime.name = kRuntimeCheck;
  runtime.condition = kRuntimeCondition;
  runtime.what = "what the container runtime says over its interface for the kubelet (CRI)";
  runtime.look = runtime_look(node);
  return {std::move(probe), std::move(runtime)};
}

}  // namespace omnitide::daemon
