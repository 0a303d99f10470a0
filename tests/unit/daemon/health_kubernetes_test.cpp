// The kubelet's and the container runtime's health against real servers, on nodes that have one and on those that have
// none.
#include "agent/daemon/health_kubernetes.hpp"

#include <filesystem>
#include <memory>
#include <optional>

#include "agent/io/http_server.hpp"
#include "omnitide/peer/v1/container_runtime.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;

struct Node {
  test::Loop loop;
  test::TempTree tree;
  unsigned status = 200;
  bool known = false;
  std::optional<io::HttpServer> server;
  KubernetesNode node;

  Node() {
    server.emplace(loop.context,
                   std::vector<io::Route>{{"GET", "/healthz",
                                           [this](io::HttpRequest&) -> boost::asio::awaitable<io::HttpResponse> {
                                             co_return io::HttpResponse{.status = status,
                                                                        .content_type = "text/plain",
                                                                        .headers = {},
                                                                        .body = "ok",
                                                                        .shared_body = {},
                                                                        .stream = {}};
                                           }}},
                   io::ServerLimits{});
    node.root = tree.path();
    node.kubelet = "http://127.0.0.1:" + std::to_string(*server->listen_tcp("127.0.0.1:0")) + "/healthz";
    node.known = [this](std::string_view, std::string_view) { return known; };
  }
  Finding look() {
    return loop.run(kubernetes_probes(node).at(0).look(std::make_shared<ProbeRun>(loop.context, loop.pool, 5s)));
  }
};

}  // namespace

TEST_CASE("a kubelet that answers is well, one that says otherwise is not") {
  Node node;
  CHECK(node.look().verdict == Verdict::good);
  node.status = 500;
  const Finding bad = node.look();
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.reason == "KubeletUnhealthy");
  CHECK(bad.message == "the kubelet is not well: the answer's status is 500");
}

TEST_CASE("where nothing answers, only a node that has a kubelet has a fault") {
  Node node;
  node.server->stop();
  CHECK(node.look().verdict == Verdict::unknown);
  node.tree.file("var/lib/kubelet/config.yaml", "");  // joined once, but not started with the machine
  CHECK(node.look().verdict == Verdict::unknown);
  node.tree.link("etc/systemd/system/multi-user.target.wants/kubelet.service", "/lib/systemd/system/kubelet.service");
  const Finding bad = node.look();
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.reason == "KubeletNotReached");
}

TEST_CASE("a kubelet that answered before is missed until its folder is gone") {
  Node node;
  node.server->stop();
  node.known = true;
  node.tree.folder("var/lib/kubelet");
  CHECK(node.look().verdict == Verdict::bad);
  std::filesystem::remove_all(node.tree.path() + "/var/lib/kubelet");
  CHECK(node.look().verdict == Verdict::unknown);
}

namespace {

// A runtime on the first of the usual sockets of a tree.
struct Runtime {
  test::Loop loop;
  test::TempTree tree;
  bool known = false, ready = true;
  unsigned grpc_status = 0;
  std::unique_ptr<test::Http2Server> server;

  void serve() {
    tree.folder("run/containerd");
    server = std::make_unique<test::Http2Server>([this](const test::Http2Asked& asked) { return answer(asked); },
                                                 tree.path() + "/run/containerd/containerd.sock");
  }
  Finding look() {
    KubernetesNode node;
    node.root = tree.path();
    node.known = [this](std::string_view, std::string_view) { return known; };
    return loop.run(kubernetes_probes(node).at(1).look(std::make_shared<ProbeRun>(loop.context, loop.pool, 5s)));
  }

 private:
  [[nodiscard]] test::Http2Answer answer(const test::Http2Asked& asked) const {
    std::string message;
    if (asked.headers.at(":path") == "/runtime.v1.RuntimeService/Version") {
      peer::v1::RuntimeVersionResponse version;
      version.set_runtime_name("containerd");
      version.set_runtime_version("1.6.20");
      message = version.SerializeAsString();
    } else {
      peer::v1::RuntimeStatusResponse status;
      for (const char* type : {"RuntimeReady", "NetworkReady"}) {
        peer::v1::RuntimeCondition& condition = *status.mutable_status()->add_conditions();
        condition.set_type(type);
        condition.set_status(ready && condition.type() == "RuntimeReady");
        condition.set_reason("Broken");
        condition.set_message("it is broken");
      }
      message = status.SerializeAsString();
    }
    return {.headers = {{"content-type", "application/grpc"}},
            .trailers = {{"grpc-status", std::to_string(grpc_status)}},
            .body = std::string(4, '\0') + static_cast<char>(message.size()) + message};
  }
};

}  // namespace

TEST_CASE("a container runtime is well while it answers and says that it is ready") {
  Runtime runtime;
  runtime.serve();
  const Finding good = runtime.look();
  CHECK(good.verdict == Verdict::good);
  CHECK(good.message == "containerd 1.6.20 is ready");  // that no network is set up is not its fault
  runtime.ready = false;
  const Finding bad = runtime.look();
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.reason == "RuntimeNotReady");
  CHECK(bad.message == "containerd 1.6.20 says that it is not ready: Broken it is broken");
  runtime.grpc_status = 14;
  CHECK(runtime.look().reason == "RuntimeNotReached");
  runtime.grpc_status = 12;  // as Docker's containerd, whose interface is off
  CHECK(runtime.look().verdict == Verdict::unknown);
}

TEST_CASE("a node without a container runtime has no fault, one that lost its own has") {
  Runtime runtime;
  CHECK(runtime.look().verdict == Verdict::unknown);
  runtime.serve();
  runtime.server.reset();  // its socket stays
  CHECK(runtime.look().reason == "RuntimeNotReached");
  std::filesystem::remove(runtime.tree.path() + "/run/containerd/containerd.sock");
  runtime.known = true;
  CHECK(runtime.look().verdict == Verdict::unknown);  // uninstalled
  runtime.tree.folder("var/lib/containerd");
  CHECK(runtime.look().verdict == Verdict::bad);
  runtime.known = false;
  CHECK(runtime.look().verdict == Verdict::unknown);
}

}  // namespace omnitide::daemon
