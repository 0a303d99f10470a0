// The API client on a real Kubernetes: what it sees of it, and what it survives.
#include "agent/kubernetes/client.hpp"

#include <fmt/format.h>

#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/cluster.hpp"
#include "tests/harness/followed.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::kubernetes {
namespace {

using namespace std::chrono_literals;
using test::Cluster;
using test::FollowedKind;

constexpr Resource kClusterPolicies{"policy.networking.k8s.io/v1alpha2", "clusternetworkpolicies", false};
constexpr auto kLong = 60s;

Access admin(const Cluster& cluster) { return access_of_kubeconfig(cluster.admin()).value(); }

std::string policy(const std::string& space, const std::string& name, int port = 80) {
  return fmt::format(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {}, namespace: {}}}\n"
      "spec: {{podSelector: {{matchLabels: {{app: web}}}}, ingress: [{{ports: [{{port: {}}}], "
      "from: [{{namespaceSelector: {{}}}}]}}]}}\n",
      name, space, port);
}

// A namespace of its own, gone at the end.
class Space {
 public:
  Space(Cluster& cluster, std::string name) : cluster_(cluster), name_(std::move(name)) {
    cluster_.kubectl({"create", "namespace", name_});
  }
  // Until the controller has made the account that each pod needs.
  void wait_for_account() const {
    for (int i = 0; i < 600; ++i) {
      if (test::answer_of({std::getenv("OMNITIDE_CLUSTER"), "kubectl", "-n", name_, "get", "serviceaccount", "default"},
                          cluster_.path("words"))
              .code == 0)
        return;
      std::this_thread::sleep_for(100ms);
    }
    throw std::runtime_error("no service account in " + name_);
  }
  ~Space() {
    (void)test::answer_of({std::getenv("OMNITIDE_CLUSTER"), "kubectl", "delete", "namespace", name_, "--wait=false"},
                          cluster_.path("words"));
  }
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  Cluster& cluster_;
  std::string name_;
};

// All that the agent follows, on one client.
struct Followed3 {
  Followed3(test::Loop& loop, Access access, const std::string& space, unsigned page = 500)
      : client(loop.context, loop.pool, std::move(access)),
        spaces(loop, client, {.resource = kNamespaces, .limits = {.page = page}}),
        pods(loop, client, {.resource = kPods, .scope = {.space = space}, .limits = {.page = page}}),
        policies(loop, client, {.resource = kNetworkPolicies, .scope = {.space = space}, .limits = {.page = page}}) {}
  [[nodiscard]] bool synced() const { return spaces.store.synced() && pods.store.synced() && policies.store.synced(); }
  Client client;
  FollowedKind<Namespace> spaces;
  FollowedKind<Pod> pods;
  FollowedKind<NetworkPolicy> policies;
};

// Whatever a test did to the API server, the next one finds it as it was.
struct AsItWas {
  Cluster& cluster;
  ~AsItWas() {
    try {
      cluster.restart_apiserver();
    } catch (const std::exception& problem) {
      UNSCOPED_INFO(problem.what());
      CHECK(false);
    }
  }
};

}  // namespace

TEST_CASE("what kubectl makes, changes and deletes is seen, all of it on one connection") {
  Cluster cluster;
  Space space(cluster, "follow");
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name());
  REQUIRE(loop.until([&] { return all.synced(); }, kLong));
  CHECK(all.spaces.store.find({"", "kube-system"}) != nullptr);
  CHECK_FALSE(all.spaces.watcher.followed().lists_only);
  CHECK(all.spaces.watcher.followed().lists == 0);  // WatchList

  cluster.apply(policy(space.name(), "first"));
  REQUIRE(loop.until([&] { return all.policies.store.size() == 1; }, kLong));
  const NetworkPolicy* first = all.policies.store.find({space.name(), "first"});
  REQUIRE(first != nullptr);
  CHECK(first->pods.labels == Labels{{"app", "web"}});
  CHECK(first->ingress.at(0).ports.at(0).number == 80);
  CHECK(first->ingress[0].peers.at(0).namespaces.has_value());
  CHECK_FALSE(first->ingress[0].peers[0].pods.has_value());
  CHECK(first->types == std::vector<std::string>{"Ingress"});
  cluster.apply(policy(space.name(), "first", 8080));
  REQUIRE(loop.until([&] { return all.policies.was_told("~first"); }, kLong));
  CHECK(all.policies.store.find({space.name(), "first"})->ingress.at(0).ports.at(0).number == 8080);

  space.wait_for_account();
  cluster.apply(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: follow, labels: {app: web}}\n"
      "spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: 'localhost/agnhost:1', "
      "imagePullPolicy: "
      "Never, args: [netexec], ports: [{name: http, containerPort: 8080}]}]}\n");
  const auto running = [&] {
    const Pod* pod = all.pods.store.find({space.name(), "web"});
    return pod != nullptr && pod->addresses.size() == 2 && !pod->containers.empty();
  };
  REQUIRE(loop.until(running, kLong));
  const Pod web = *all.pods.store.find({space.name(), "web"});
  CHECK(web.node.starts_with("node-"));
  CHECK(web.addresses[0].starts_with("10.244."));
  CHECK(web.addresses[1].starts_with("fd00:10:244:"));
  CHECK(web.named_ports.at(0).port == 8080);
  CHECK(web.containers[0].name == "main");
  CHECK(web.containers[0].id.size() == 64);
  CHECK(web.meta.uid != Uid{});
  cluster.kubectl({"-n", space.name(), "label", "pod", "web", "tier=front"});
  REQUIRE(loop.until([&] { return all.pods.store.find({space.name(), "web"})->meta.labels.size() == 2; }, kLong));
  cluster.kubectl({"-n", space.name(), "delete", "pod", "web"});
  REQUIRE(loop.until([&] { return all.pods.store.size() == 0; }, kLong));
  cluster.kubectl({"label", "namespace", space.name(), "team=a"});
  REQUIRE(loop.until([&] { return all.spaces.was_told("~follow"); }, kLong));
  CHECK(all.client.connections() == 1);
  CHECK_FALSE(all.client.http1());
  CHECK(all.pods.watcher.followed().unreadable == 0);
}

TEST_CASE("a server without WatchList is followed by pages and watches") {
  Cluster cluster;
  Space space(cluster, "pages");
  const AsItWas restored{cluster};
  cluster.restart_apiserver({"--feature-gates=WatchList=false"});
  for (int i = 0; i < 5; ++i)
    cluster.apply(policy(space.name(), fmt::format("p{}", i)));
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name(), 2);
  REQUIRE(loop.until([&] { return all.synced(); }, kLong));
  CHECK(all.policies.watcher.followed().lists_only);
  CHECK(all.policies.store.size() == 5);
  CHECK(all.spaces.store.find({"", "kube-system"}) != nullptr);
  cluster.kubectl({"-n", space.name(), "delete", "networkpolicy", "p3"});
  REQUIRE(loop.until([&] { return all.policies.store.size() == 4; }, kLong));
  CHECK(all.client.connections() == 1);
}

TEST_CASE("what was received stays while the API server is gone, and the watches go on where they were") {
  Cluster cluster;
  Space space(cluster, "restart");
  cluster.apply(policy(space.name(), "kept"));
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name());
  REQUIRE(loop.until([&] { return all.synced() && all.policies.store.size() == 1; }, kLong));
  cluster.kill_apiserver();
  loop.run_for(3s);
  CHECK(all.policies.store.size() == 1);
  CHECK(all.policies.watcher.followed().problem.has_value());
  cluster.start_apiserver();
  cluster.apply(policy(space.name(), "after"));
  REQUIRE(loop.until([&] { return all.policies.store.size() == 2; }, kLong));
  CHECK(std::none_of(all.policies.told.begin(), all.policies.told.end(),
                     [](const std::string& word) { return word.starts_with('-'); }));
  REQUIRE(loop.until([&] { return !all.policies.watcher.followed().problem.has_value(); }, kLong));
}

TEST_CASE("a state that was compacted away is taken anew, with what was deleted meanwhile") {
  Cluster cluster;
  Space space(cluster, "compacted");
  cluster.apply(policy(space.name(), "old"));
  cluster.apply(policy(space.name(), "stays"));
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name());
  REQUIRE(loop.until([&] { return all.synced() && all.policies.store.size() == 2; }, kLong));
  cluster.kill_apiserver();
  REQUIRE(loop.until([&] { return all.policies.watcher.followed().problem.has_value(); }, kLong));
  // From here on nothing runs on this side until the loop is run again.
  cluster.start_apiserver();
  cluster.kubectl({"-n", space.name(), "delete", "networkpolicy", "old"});
  cluster.apply(policy(space.name(), "new"));
  cluster.compact();
  cluster.restart_apiserver();
  REQUIRE(loop.until([&] { return all.policies.store.find({space.name(), "new"}) != nullptr; }, kLong));
  REQUIRE(loop.until([&] { return all.policies.store.size() == 2; }, kLong));
  CHECK(all.policies.store.find({space.name(), "old"}) == nullptr);
  CHECK(all.policies.was_told("-old"));
  CHECK_FALSE(all.policies.was_told("-stays"));
  CHECK(all.policies.watcher.followed().expired >= 1);
}

TEST_CASE("a pod's token that rotates is read anew, also when the old one is refused") {
  Cluster cluster;
  Space space(cluster, "token");
  const auto account = [&] {
    cluster.kubectl({"-n", "token", "create", "serviceaccount", "reader"});
    cluster.tree().file("sa/token", trim(cluster.kubectl({"-n", "token", "create", "token", "reader"})));
  };
  account();
  cluster.apply(
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: token}\n"
      "rules: [{apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list, watch]}]\n---\n"
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: reader, namespace: token}\n"
      "roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}\n"
      "subjects: [{kind: ServiceAccount, name: reader, namespace: token}]\n");
  cluster.tree().file("sa/ca.crt", test::read_text(cluster.ca())).file("sa/namespace", "token");
  const Access access = in_cluster(Cluster::kHost, Cluster::kPort, cluster.path("sa")).value();
  CHECK(access.default_namespace == "token");
  test::Loop loop;
  Client client(loop.context, loop.pool, access);
  FollowedKind<NetworkPolicy> policies(loop, client, {.resource = kNetworkPolicies, .scope = {.space = "token"}});
  REQUIRE(loop.until([&] { return policies.store.synced(); }, kLong));
  CHECK(loop.run(client.get(kPods, {"token", "none"})).error().code == Code::permission_denied);
  // Another account of the same name: the old token is worth nothing, and the client has it for a minute.
  cluster.kubectl({"-n", "token", "delete", "serviceaccount", "reader"});
  account();
  cluster.restart_apiserver();  // which ends the connection, and forgets whom it knew
  cluster.apply(policy("token", "after"));
  REQUIRE(loop.until([&] { return policies.store.size() == 1; }, kLong));
}

TEST_CASE("a client certificate of RSA and a custom resource in JSON are good") {
  Cluster cluster;
  cluster.kubectl({"apply", "--server-side", "-f", Cluster::shared() + "/crds/clusternetworkpolicies.yaml"});
  cluster.kubectl({"wait", "--for=condition=Established", "crd/clusternetworkpolicies.policy.networking.k8s.io"});
  cluster.run({"openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", cluster.path("key"), "-out",
               cluster.path("csr"), "-subj", "/O=system:masters/CN=tester"});
  cluster.run({"openssl", "x509", "-req", "-in", cluster.path("csr"), "-CA", cluster.ca(), "-CAkey", cluster.ca_key(),
               "-days", "1", "-out", cluster.path("crt")});
  cluster.tree().file(
      "kubeconfig",
      fmt::format(
          "{{current-context: x, contexts: [{{name: x, context: {{cluster: c, user: u}}}}], clusters: [{{name: c, "
          "cluster: {{server: 'https://{}:{}', certificate-authority: '{}'}}}}], users: [{{name: u, user: "
          "{{client-certificate: crt, client-key-data: {}}}}}]}}",
          Cluster::kHost, Cluster::kPort, cluster.ca(), base64_encode(test::read_text(cluster.path("key")))));
  test::Loop loop;
  Client client(loop.context, loop.pool, access_of_kubeconfig(cluster.path("kubeconfig")).value());
  FollowedKind<CustomObject> policies(loop, client, {.resource = kClusterPolicies});
  REQUIRE(loop.until([&] { return policies.store.synced(); }, kLong));
  CHECK(policies.watcher.followed().lists == 0);
  const std::string object =
      R"({"apiVersion":"policy.networking.k8s.io/v1alpha2","kind":"ClusterNetworkPolicy","metadata":{"name":"deny"},)"
      R"("spec":{"tier":"Admin","priority":7,"subject":{"namespaces":{}},"ingress":[{"action":"Deny",)"
      R"("from":[{"namespaces":{}}]}]}})";
  const Result<Body> made = loop.run(client.apply(kClusterPolicies, {"", "deny"}, object, "tester"));
  REQUIRE(made);
  REQUIRE(loop.until([&] { return policies.store.size() == 1; }, kLong));
  const CustomObject* deny = policies.store.find({"", "deny"});
  CHECK(deny->json.find("\"priority\":7") != std::string::npos);
  CHECK(deny->json.find("managedFields") == std::string::npos);
  REQUIRE(loop.run(client.remove(kClusterPolicies, {"", "deny"})));
  REQUIRE(loop.until([&] { return policies.store.size() == 0; }, kLong));
  cluster.kubectl({"delete", "crd", "clusternetworkpolicies.policy.networking.k8s.io"});
}

TEST_CASE("what is applied belongs to who applied it") {
  Cluster cluster;
  Space space(cluster, "apply");
  test::Loop loop;
  Client client(loop.context, loop.pool, admin(cluster));
  const auto lease = [](const std::string& holder) {
    return R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"l","namespace":"apply"},)"
           R"("spec":{"holderIdentity":")" +
           holder + R"(","leaseDurationSeconds":40,"renewTime":"2026-01-01T00:00:00.000000Z"}})";
  };
  const Name name{"apply", "l"};
  REQUIRE(loop.run(client.apply(kLeases, name, lease("a"), "one", false)));
  const Result<Body> taken = loop.run(client.apply(kLeases, name, lease("b"), "two", false));
  REQUIRE(taken.has_error());
  CHECK(taken.error().message.find("conflict") != std::string::npos);
  REQUIRE(loop.run(client.apply(kLeases, name, lease("b"), "two", true)));
  Request request;
  request.path = object_path(kLeases, name);
  request.accept = kProtobufType;
  const Result<Body> read = loop.run(client.send(request));
  REQUIRE(read);
  const Result<Lease> held = decode<Lease>(unwrap(read->text).value(), Encoding::protobuf, {});
  REQUIRE(held);
  CHECK(held->holder == "b");
  CHECK(held->duration == 40s);
  CHECK(format_rfc3339(held->renewed.value()) == "2026-01-01T00:00:00.000Z");
  REQUIRE(loop.run(client.remove(kLeases, name)));
  CHECK(loop.run(client.get(kLeases, name)).error().code == Code::not_found);
  CHECK(loop.run(client.get({"omnitide.example/v1", "nothings", false}, {"", "x"})).error().code == Code::not_found);
}

TEST_CASE("a server of HTTP/1.1 alone is followed too") {
  Cluster cluster;
  Space space(cluster, "older");
  const AsItWas restored{cluster};
  cluster.restart_apiserver({"--disable-http2-serving=true"});
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name());
  REQUIRE(loop.until([&] { return all.synced(); }, kLong));
  CHECK(all.client.http1());
  cluster.apply(policy(space.name(), "p"));
  REQUIRE(loop.until([&] { return all.policies.store.size() == 1; }, kLong));
}

TEST_CASE("a connection that is dead without a word is found within 30 s") {
  Cluster cluster;
  Space space(cluster, "halfdead");
  test::Loop loop;
  Followed3 all(loop, admin(cluster), space.name());
  REQUIRE(loop.until([&] { return all.synced(); }, kLong));
  // Both ways, and without a reset: a cable that was pulled.
  const std::string sockets = cluster.run({"ss", "-Htnp", "dst", Cluster::kHost, "dport", "=", Cluster::kPort});
  std::string port;
  for (const std::string_view line : split(sockets, '\n')) {
    if (line.find(fmt::format("pid={},", ::getpid())) == std::string_view::npos) continue;
    const std::string local(split_words(line).at(3));
    port = local.substr(local.rfind(':') + 1);
  }
  REQUIRE_FALSE(port.empty());
  cluster.tree().file("rules",
                      fmt::format("table inet omnitide_test {{\n chain in {{\n  type filter hook input priority 0;\n"
                                  "  tcp sport {0} drop\n  tcp dport {0} drop\n }}\n}}\n",
                                  port));
  cluster.run({"nft", "-f", cluster.path("rules")});
  struct Undone {
    Cluster& cluster;
    ~Undone() { (void)test::answer_of({"nft", "delete", "table", "inet", "omnitide_test"}, cluster.path("words")); }
  } const undone{cluster};
  const auto before = std::chrono::steady_clock::now();
  cluster.apply(policy(space.name(), "meanwhile"));
  REQUIRE(loop.until([&] { return all.policies.store.size() == 1; }, 35s));
  const auto took = std::chrono::steady_clock::now() - before;
  WARN("seen after " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
  CHECK(took < 30s);
  CHECK(all.client.connections() >= 2);
}

}  // namespace omnitide::kubernetes
