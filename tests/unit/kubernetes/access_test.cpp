// Where the API server is and what is proven to it: pods' files that rotate, kubeconfig files good and bad.
#include "agent/kubernetes/access.hpp"

#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;

std::string ca_pem() {
  const io::PrivateKey key = *io::PrivateKey::generate();
  io::CertificateRequest request;
  request.common_name = "test CA";
  request.public_key_info = key.public_key_info();
  request.not_before = wall_now() - 1h;
  request.not_after = wall_now() + 24h;
  request.is_ca = true;
  return io::to_pem(*io::issue_certificate(request, {}, key));
}

Result<Access> access_of(test::TempTree& tree, const std::string& text, const std::string& context = {}) {
  tree.file("etc/config", text);
  return access_of_kubeconfig(tree.path() + "/etc/config", context);
}

std::string with_user(const std::string& user) {
  return "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u, namespace: here}}]\n"
         "clusters: [{name: c, cluster: {server: 'https://h:6443/', certificate-authority: pki/ca.crt}}]\n"
         "users: [{name: u, user: " +
         user + "}]\n";
}

}  // namespace

TEST_CASE("a pod finds the API server by its environment and its own files") {
  test::TempTree tree;
  tree.file("sa/namespace", "kube-things\n");
  const Result<Access> access = in_cluster("10.96.0.1", "443", tree.path() + "/sa");
  REQUIRE(access);
  CHECK(access->server == "https://10.96.0.1:443");
  CHECK(access->default_namespace == "kube-things");
  CHECK(access->cas.file == tree.path() + "/sa/ca.crt");
  CHECK(in_cluster("fd00::1", "443")->server == "https://[fd00::1]:443");
  CHECK(in_cluster("", "443").error().code == Code::failed_precondition);
  CHECK(in_cluster("10.96.0.1", "https").error().code == Code::invalid_argument);
}

TEST_CASE("a token is read anew when it is a minute old or was refused, and the last one serves while it is away") {
  test::TempTree tree;
  tree.file("token", "one\n");
  Access access;
  access.token.file = tree.path() + "/token";
  Credentials credentials(access);
  const SteadyTime now{};
  CHECK(*credentials.token(now) == "one");
  tree.file("token", "two");
  CHECK(*credentials.token(now + 59s) == "one");
  CHECK(*credentials.token(now + 60s) == "two");
  tree.file("token", "three");
  CHECK(*credentials.token(now + 61s, true) == "three");
  std::filesystem::remove(tree.path() + "/token");
  CHECK(*credentials.token(now + 300s) == "three");
  CHECK(credentials.token(now + 300s, true).error().code == Code::not_found);
  tree.file("token", "a b");  // would become another header
  CHECK(credentials.token(now + 300s, true).error().code == Code::invalid_argument);
  tree.file("token", "\n");
  CHECK(credentials.token(now + 300s, true).error().code == Code::unauthenticated);
}

TEST_CASE("a CA that was replaced counts from the next connection on") {
  test::TempTree tree;
  tree.file("ca.crt", ca_pem());
  Access access;
  access.cas.file = tree.path() + "/ca.crt";
  Credentials credentials(access);
  const void* first = credentials.tls()->native();
  CHECK(credentials.tls()->native() == first);
  tree.file("ca.crt", ca_pem());
  const Result<io::TlsContext> second = credentials.tls();
  REQUIRE(second);
  CHECK(second->native() != first);
  tree.file("ca.crt", "");
  CHECK(credentials.tls().has_error());  // never the system's CAs instead
  tree.file("ca.crt", "no certificate");
  CHECK(credentials.tls().has_error());
}

TEST_CASE("a kubeconfig's context gives server, CA, certificate and token, files beside it") {
  test::TempTree tree;
  const Result<Access> access = access_of(tree, with_user("{tokenFile: t, token: unused}"));
  REQUIRE(access);
  CHECK(access->server == "https://h:6443");
  CHECK(access->default_namespace == "here");
  CHECK(access->cas.file == tree.path() + "/etc/pki/ca.crt");
  CHECK(access->token.file == tree.path() + "/etc/t");
  CHECK(access->token.text.empty());
  const Result<Access> proven = access_of(
      tree, with_user("{client-certificate-data: " + base64_encode("CERT") + ", client-key: /abs/key, token: secret}"));
  REQUIRE(proven);
  CHECK(proven->certificate.text == "CERT");
  CHECK(proven->key.file == "/abs/key");
  CHECK(proven->token.text == "secret");
}

TEST_CASE("what a kubeconfig asks for and cannot have is refused by name") {
  test::TempTree tree;
  const auto refused = [&tree](const std::string& text, const std::string& field) {
    const Result<Access> access = access_of(tree, text);
    INFO(text);
    REQUIRE(access.has_error());
    CHECK(access.error().code == Code::invalid_argument);
    CHECK(access.error().field == field);
  };
  refused(with_user("{exec: {command: aws}}"), "users[u].user.exec");
  refused(with_user("{username: a, password: b}"), "users[u].user.username");
  refused(with_user("{client-certificate: a}"), "users[u].user.client-key");
  refused(with_user("{client-key-data: '%'}"), "users[u].user.client-key-data");
  refused(with_user("[]"), "users[u].user");
  refused("current-context: y\ncontexts: []", "contexts");
  refused("contexts: []", "current-context");
  refused(
      "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: "
      "'http://h'}}]}",
      "clusters[c].cluster.server");
  refused(
      "{current-context: x, contexts: [{name: x, context: {cluster: c}}], clusters: [{name: c, cluster: {server: "
      "'https://h', insecure-skip-tls-verify: true}}]}",
      "clusters[c].cluster.insecure-skip-tls-verify");
  refused("- a\n- b", "");
  refused("{a: [", "");
  refused(std::string(2000, '['), "");
  CHECK(access_of_kubeconfig(tree.path() + "/none").error().code == Code::not_found);
}

}  // namespace omnitide::kubernetes
