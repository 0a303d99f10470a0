// The kubelet's health against a real server, on nodes that have one and on those that have none.
#include "agent/daemon/health_kubernetes.hpp"

#include <optional>

#include "agent/io/http_server.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
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

}  // namespace omnitide::daemon
