// Which services of Kubernetes a node has, and what systemd's word on them means.
#include "agent/daemon/health_services.hpp"

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using discovery::SystemdUnit;
using health::Verdict;
using Names = std::vector<std::string>;

SystemdUnit service(const std::string& name, std::uint64_t restarts) {
  return {name, "loaded", "active", "/", restarts};
}

}  // namespace

TEST_CASE("services are watched where systemd runs and has a file for them, also one that comes later") {
  test::TempTree tree;
  const HealthServices services(*Root::open(tree.path()), {}, {});
  tree.file("usr/lib/systemd/system/containerd.service", "");
  CHECK(services.installed().empty());
  tree.folder("run/systemd/system");
  CHECK(services.installed() == Names{"containerd.service"});
  tree.file("etc/systemd/system/kubelet.service", "");
  CHECK(services.installed() == Names{"kubelet.service", "containerd.service"});
  const HealthServices one(*Root::open(tree.path()), {"containerd-restarts"}, {});
  CHECK(one.installed() == Names{"kubelet.service"});
  CHECK_FALSE(one.has("containerd-restarts"));
}

TEST_CASE("each service is counted by itself, and what is known goes on after a restart of the agent") {
  test::TempTree tree;
  const Root root = *Root::open(tree.path());
  HealthServices services(root, {}, {});
  CHECK(services.take(service("kubelet.service", 0), 1h));
  CHECK_FALSE(services.take(service("kubelet.service", 0), 1h));
  CHECK(services.take(service("containerd.service", 3), 1h));
  CHECK_FALSE(services.take(service("nginx.service", 3), 1h));
  CHECK(services.take(service("kubelet.service", 4), 1h + 1s));

  HealthServices next(root, {}, services.known());
  CHECK(next.look(1h + 2s).at(0).verdict == Verdict::good);
  CHECK(next.take(service("kubelet.service", 5), 1h + 2s));
  CHECK(next.look(1h + 2s).at(0).verdict == Verdict::bad);
  CHECK(next.look(1h + 2s).at(1).verdict == Verdict::good);
  CHECK(next.take({"kubelet.service", "not-found", "inactive", "/", {}}, 1h + 3s));
  CHECK(next.look(1h + 3s).at(0).verdict == Verdict::unknown);
}

}  // namespace omnitide::daemon
