// The commands that take away what an agent left, against a scripted API server and a node of files.
#include "agent/daemon/uninstall.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <mutex>

#include "agent/base/clock.hpp"
#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/io/crypto.hpp"
#include "agent/io/tls.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/http2_server.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using test::Http2Answer;
using test::Http2Asked;

// An authority of this test, and what a server of it proves itself by.
struct Proof {
  std::string authority;
  io::TlsContext tls;
};
Proof make_proof() {
  const io::PrivateKey ca_key = *io::PrivateKey::generate(), key = *io::PrivateKey::generate();
  io::CertificateRequest request;
  request.common_name = "test CA";
  request.public_key_info = ca_key.public_key_info();
  request.not_before = wall_now() - 1h;
  request.not_after = wall_now() + 24h;
  request.is_ca = true;
  const std::string ca = *io::issue_certificate(request, {}, ca_key);
  request.is_ca = false;
  request.public_key_info = key.public_key_info();
  request.server_names = {"api.example"};
  io::ServerTlsOptions options;
  options.chain = {*io::issue_certificate(request, ca, ca_key)};
  options.key = key;
  return {io::to_pem(ca), *io::TlsContext::server(options)};
}

// What was asked, in order: "DELETE PATH", and the bodies.
class SetApi {
 public:
  explicit SetApi(std::function<unsigned(const std::string& method, std::size_t turn)> status)
      : status_(std::move(status)),
        proof_(make_proof()),
        server_(
            [this](const Http2Asked& asked) {
              const std::lock_guard lock(mutex_);
              const std::string method = asked.headers.at(":method");
              asked_.push_back(method + " " + asked.headers.at(":path"));
              bodies_ += asked.body;
              return Http2Answer{.status = status_(method, asked_.size() - 1), .body = "{}"};
            },
            {}, proof_.tls.native()) {}
  // One that names it.
  std::string kubeconfig(test::TempTree& tree) const {
    tree.file("ca.crt", proof_.authority);
    tree.file("kubeconfig", "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://" +
                                server_.address() + "', tls-server-name: api.example, certificate-authority: '" +
                                tree.path() +
                                "/ca.crt'}}]\nusers: [{name: u, user: {token: t}}]\n"
                                "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n");
    return tree.path() + "/kubeconfig";
  }
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::string bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }

 private:
  std::mutex mutex_;
  std::function<unsigned(const std::string&, std::size_t)> status_;
  std::vector<std::string> asked_;
  std::string bodies_;
  Proof proof_;
  test::Http2Server server_;  // the last member: its thread uses the others
};

config::Config node_of(test::TempTree& tree) {
  config::Config out;
  for (const char* folder : {"state", "run", "lists", "programs"})
    REQUIRE(make_folders(tree.path() + "/" + folder, 0755).has_value());
  out.paths.state_dir = tree.path() + "/state";
  out.paths.run_dir = tree.path() + "/run";
  out.kubernetes.cni.conf_dir = tree.path() + "/lists";
  out.kubernetes.cni.bin_dir = tree.path() + "/programs";
  out.policy.pin_dir = tree.path() + "/pins";
  return out;
}

const std::string kSet = "/apis/apps/v1/namespaces/omnitide/daemonsets/agent";

}  // namespace

TEST_CASE("a DaemonSet is deleted in the foreground and waited for until it is gone") {
  test::TempTree tree;
  SetApi api([](const std::string& method, std::size_t turn) { return method == "DELETE" || turn < 3 ? 200U : 404U; });
  config::Config config;
  config.kubernetes.daemon_set = "omnitide/agent";
  config.kubernetes.kubeconfig = api.kubeconfig(tree);
  CHECK(remove_daemon_set(config, 20s).has_value());
  CHECK(api.asked() == std::vector<std::string>{"DELETE " + kSet, "GET " + kSet, "GET " + kSet, "GET " + kSet});
  CHECK(api.bodies().find(R"("propagationPolicy":"Foreground")") != std::string::npos);
}

TEST_CASE("one that is not there is no error, one that stays and one that must not be deleted are") {
  test::TempTree tree;
  config::Config config;
  config.kubernetes.daemon_set = "omnitide/agent";
  SetApi none([](const std::string&, std::size_t) { return 404U; });
  config.kubernetes.kubeconfig = none.kubeconfig(tree);
  CHECK(remove_daemon_set(config, 20s).has_value());
  SetApi stays([](const std::string&, std::size_t) { return 200U; });
  config.kubernetes.kubeconfig = stays.kubeconfig(tree);
  CHECK(remove_daemon_set(config, 300ms).error().code == Code::deadline_exceeded);
  SetApi refuses([](const std::string&, std::size_t) { return 403U; });
  config.kubernetes.kubeconfig = refuses.kubeconfig(tree);
  CHECK(remove_daemon_set(config, 20s).error().code == Code::permission_denied);
  CHECK(refuses.asked().size() == 1);
  config.kubernetes.daemon_set.clear();
  CHECK(remove_daemon_set(config, 20s).error().code == Code::invalid_argument);
}

TEST_CASE("a node is left by its list, its plugin's file and what the state folder has for it") {
  test::TempTree tree;
  const config::Config config = node_of(tree);
  tree.file("lists/10-pods.conflist",
            R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"bridge"},{"type":"omnitide-cni"}]})");
  tree.file("programs/omnitide-cni", "program");
  tree.file("state/kubernetes-objects", "objects");
  tree.file("state/identity", "mine");
  for (const Result<std::string>& step : uninstall_node(config))
    CHECK(step.has_value());
  CHECK(read_file(config.kubernetes.cni.conf_dir + "/10-pods.conflist")->find("omnitide") == std::string::npos);
  CHECK(read_file(config.kubernetes.cni.bin_dir + "/omnitide-cni").has_error());
  CHECK(read_file(config.paths.state_dir + "/kubernetes-objects").has_error());
  CHECK(read_file(config.paths.state_dir + "/identity").has_value());
  for (const Result<std::string>& step : uninstall_node(config))  // again, with nothing left
    CHECK(step.has_value());
}

TEST_CASE("where an agent answers the plugin nothing is touched") {
  test::TempTree tree;
  const config::Config config = node_of(tree);
  tree.file("programs/omnitide-cni", "program");
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = config.paths.state_dir + "/cni.sock";
  REQUIRE(path.size() < sizeof address.sun_path);
  std::memcpy(&address.sun_path[0], path.data(), path.size());
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(socket.get(), 1) == 0);
  const std::vector<Result<std::string>> steps = uninstall_node(config);
  REQUIRE(steps.size() == 1);
  CHECK(steps[0].error().code == Code::failed_precondition);
  CHECK(read_file(config.kubernetes.cni.bin_dir + "/omnitide-cni").has_value());
}

}  // namespace omnitide::daemon
