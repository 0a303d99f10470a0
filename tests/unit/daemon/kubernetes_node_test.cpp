// A node tells a scripted API server of itself: what it writes, what it leaves to others, what it bears, what it takes
// away.
#include <fmt/format.h>

#include <map>
#include <mutex>

#include "agent/base/text.hpp"
#include "agent/daemon/kubernetes_node_part.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/http2_server.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using model::PartState;
using test::Http2Answer;
using test::Http2Asked;

// Answers as an API server with a Node "press-7" does, but for what a test puts into `instead`.
class Api {
 public:
  using Instead = std::function<std::optional<Http2Answer>(const std::string& what, const Http2Asked&)>;
  explicit Api(Instead instead = {})
      : instead_(std::move(instead)), server_([this](const Http2Asked& asked) { return answer(asked); }) {}

  [[nodiscard]] kubernetes::Access access() const {
    kubernetes::Access out;
    out.server = "http://" + server_.address();
    out.default_namespace = "omnitide";
    return out;
  }
  // The last body that came with it; "PATCH /api/v1/nodes/press-7", without its query.
  [[nodiscard]] std::string body(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return asked_[what].empty() ? std::string() : asked_[what].back();
  }
  [[nodiscard]] std::size_t times(const std::string& what) {
    const std::lock_guard lock(mutex_);
    return asked_[what].size();
  }
  void set_bound_to(std::string node) {
    const std::lock_guard lock(mutex_);
    bound_to_ = std::move(node);
  }

 private:
  Http2Answer answer(const Http2Asked& asked) {
    const std::lock_guard lock(mutex_);
    const std::string& path = asked.headers.at(":path");
    const std::string what = asked.headers.at(":method") + " " + path.substr(0, path.find('?'));
    asked_[what].push_back(asked.body);
    if (instead_)
      if (std::optional<Http2Answer> other = instead_(what, asked)) return std::move(*other);
    if (what.ends_with("selfsubjectreviews"))
      return {
          .status = 201,
          .body = fmt::format(
              R"({{"status":{{"userInfo":{{"username":"me","extra":{{{}}}}}}}}})",
              bound_to_.empty() ? "" : R"("authentication.kubernetes.io/node-name":[)" + json_quote(bound_to_) + "]")};
    if (what == "GET /api/v1/nodes/press-7")
      return {.body = R"({"metadata":{"uid":"u-1"},"status":{"addresses":[{"address":"10.0.0.1"}]}})"};
    if (what == "GET /apis/nfd.k8s-sigs.io/v1alpha1") return {.status = 404};
    if (what == "GET /api/v1/pods") return {.body = R"({"items":[]})"};
    return {.body = "{}"};
  }

  std::mutex mutex_;
  Instead instead_;
  std::string bound_to_ = "press-7";
  std::map<std::string, std::vector<std::string>> asked_;
  test::Http2Server server_;  // the last member: its thread uses the others
};

struct Told {
  test::Loop loop;
  model::NodeFacts facts;
  PartState state = PartState::off;
  std::string reason;
  std::unique_ptr<KubernetesConnection> connection;
  std::unique_ptr<KubernetesNodePart> node;

  explicit Told(const Api& api, config::KubernetesConfig config = {}) {
    facts.system.kernel_release = "6.1.0";
    facts.cpu.threads = 4;
    connection = std::make_unique<KubernetesConnection>(loop.context, loop.pool, api.access());
    node = std::make_unique<KubernetesNodePart>(
        loop.context, *connection, config, "press-7",
        KubernetesNodePart::Sources{.facts = [this] { return &facts; },
                                    .removal_problem = [] { return std::string(); },
                                    .on_state =
                                        [this](PartState now, std::string why) {
                                          state = now;
                                          reason = std::move(why);
                                        }});
    node->start();
  }
  ~Told() {
    node->stop();
    connection->stop();
    loop.run_for(50ms);
  }
  bool until_state(PartState wanted, const std::string& words = {}) {
    const bool so = loop.until([&] { return state == wanted && reason.find(words) != std::string::npos; });
    INFO(reason);
    CHECK(so);
    return so;
  }
};

const std::string kLease = "/apis/coordination.k8s.io/v1/namespaces/omnitide/leases/omnitide-node-press-7";
const std::string kNode = "/api/v1/nodes/press-7";
const std::string kInventory = "/apis/omnitide.io/v1alpha1/nodeinventories/press-7";
const std::string kFeature = "/apis/nfd.k8s-sigs.io/v1alpha1/namespaces/omnitide/nodefeatures/press-7";

Http2Answer refused(unsigned status, const std::string& message) {
  return {.status = status,
          .body = fmt::format(R"({{"kind":"Status","code":{},"message":{}}})", status, json_quote(message))};
}

}  // namespace

TEST_CASE("a node has a Lease, an inventory and its labels in the cluster") {
  Api api;
  Told told(api);
  REQUIRE(told.until_state(PartState::on, "labels on the Node"));
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 1 && api.times("PATCH " + kLease) == 1; }));
  CHECK(api.body("PATCH " + kLease).find("\"holderIdentity\":\"press-7\"") != std::string::npos);
  CHECK(api.body("PATCH " + kInventory).find("\"uid\":\"u-1\"") != std::string::npos);
  CHECK(api.body("PATCH " + kInventory + "/status").find("\"threads\":4") != std::string::npos);
  CHECK(api.body("PATCH " + kNode).find("\"feature.node.kubernetes.io/kernel-version.full\":\"6.1.0\"") !=
        std::string::npos);
  CHECK(api.times("DELETE " + kFeature) == 0);
}

TEST_CASE("what did not change is not written again, what did is") {
  Api api;
  Told told(api);
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 1; }));
  told.node->facts_changed();
  told.loop.run_for(300ms);
  CHECK(api.times("PATCH " + kInventory + "/status") == 1);
  told.facts.system.kernel_release = "6.1.1";
  told.node->facts_changed();
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 2; }));
  CHECK(api.body("PATCH " + kNode).find("6.1.1") != std::string::npos);
  CHECK(api.body("PATCH " + kInventory + "/status").find("6.1.1") != std::string::npos);
}

TEST_CASE("a token that is bound to no node writes nothing to the Node, one of another node nothing at all") {
  Api api;
  api.set_bound_to("");
  {
    Told told(api);
    REQUIRE(told.until_state(PartState::degraded, "no labels on the Node: the token of me is bound to no node"));
    REQUIRE(told.loop.until([&] { return api.times("PATCH " + kInventory + "/status") == 1; }));
    CHECK(api.times("PATCH " + kNode) == 0);
  }
  const std::size_t before = api.times("PATCH " + kLease);
  CHECK(before == 1);
  api.set_bound_to("press-8");
  Told told(api);
  REQUIRE(told.until_state(PartState::degraded, "the token is that of node press-8, and node.name is press-7"));
  told.loop.run_for(200ms);
  CHECK(api.times("PATCH " + kLease) == before);
}

TEST_CASE("a label of another owner is left to him and told, all others are set") {
  Api api([](const std::string& what, const Http2Asked& asked) -> std::optional<Http2Answer> {
    if (what != "PATCH " + kNode) return std::nullopt;
    CHECK(asked.headers.at(":path").find("force") == std::string::npos);
    if (asked.body.find("omnitide.io/cpu-threads") == std::string::npos) return std::nullopt;
    return Http2Answer{.status = 409, .body = R"({"kind":"Status","code":409,"message":"x","details":{"causes":[
        {"reason":"FieldManagerConflict","message":"conflict with \"kubectl-label\" using v1",
         "field":".metadata.labels.omnitide.io/cpu-threads"}]}})"};
  });
  Told told(api);
  REQUIRE(
      told.until_state(PartState::degraded, "omnitide.io/cpu-threads is left as it is: it belongs to kubectl-label"));
  CHECK(api.times("PATCH " + kNode) == 2);
  CHECK(api.body("PATCH " + kNode).find("kernel-version.full") != std::string::npos);
}

TEST_CASE("where Node Feature Discovery's master runs it gets the labels, and the Node none of the agent") {
  Api api([](const std::string& what, const Http2Asked& asked) -> std::optional<Http2Answer> {
    if (what == "GET /apis/nfd.k8s-sigs.io/v1alpha1") return Http2Answer{.body = "{}"};
    if (what == "GET /api/v1/pods" && asked.headers.at(":path").find("role%3Dmaster") != std::string::npos)
      return Http2Answer{.body = R"({"items":[{}]})"};
    return std::nullopt;
  });
  Told told(api);
  REQUIRE(told.until_state(PartState::on, "labels by NodeFeature"));
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kFeature) == 1 && api.times("PATCH " + kNode) == 1; }));
  CHECK(api.body("PATCH " + kFeature).find("kernel-version.full") != std::string::npos);
  CHECK(api.body("PATCH " + kNode).find("labels") == std::string::npos);
}

TEST_CASE("a definition without a master asks nobody, and what an earlier agent asked for is withdrawn") {
  Api api([](const std::string& what, const Http2Asked&) -> std::optional<Http2Answer> {
    if (what == "GET /apis/nfd.k8s-sigs.io/v1alpha1") return Http2Answer{.body = "{}"};
    return std::nullopt;
  });
  Told told(api);
  REQUIRE(told.until_state(PartState::on, "labels on the Node"));
  REQUIRE(told.loop.until([&] { return api.times("DELETE " + kFeature) == 1; }));
  CHECK(api.times("GET /api/v1/pods") == 2);
}

TEST_CASE("a server that is too busy is asked again, and one refusal does not keep the rest from being written") {
  Api api([busy = 3](const std::string& what, const Http2Asked&) mutable -> std::optional<Http2Answer> {
    if (what.ends_with("selfsubjectreviews") && busy-- > 0)
      return Http2Answer{.status = 429, .headers = {{"retry-after", "0"}}, .body = "{}"};
    if (what == "PATCH " + kInventory) return refused(403, "nodeinventories is forbidden");
    return std::nullopt;
  });
  Told told(api);
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 1 && api.times("PATCH " + kLease) == 1; }, 30s));
  CHECK(told.until_state(PartState::degraded,
                         "NodeInventory: the API server answered 403: nodeinventories is forbidden"));
}

TEST_CASE("when the agent is taken away, all of it goes, and is there again when it is not after all") {
  Api api;
  Told told(api);
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 1; }));
  told.node->leave(true);
  REQUIRE(told.until_state(PartState::off, "taken away with the DaemonSet"));
  CHECK(api.body("PATCH " + kNode).find("labels") == std::string::npos);
  CHECK(api.times("DELETE " + kLease) == 1);
  CHECK(api.times("DELETE " + kInventory) == 1);
  const std::size_t beats = api.times("PATCH " + kLease);
  told.loop.run_for(200ms);
  CHECK(api.times("PATCH " + kLease) == beats);
  told.node->leave(false);
  REQUIRE(
      told.loop.until([&] { return api.times("PATCH " + kLease) == beats + 1 && api.times("PATCH " + kNode) == 3; }));
}

TEST_CASE("an agent that is told to end while it takes things away ends with that, and not before") {
  Api api([slow = true](const std::string& what, const Http2Asked&) mutable -> std::optional<Http2Answer> {
    if (what != "DELETE " + kLease) return std::nullopt;
    if (std::exchange(slow, false)) return refused(500, "etcd is away");
    return std::nullopt;
  });
  Told told(api);
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kLease) == 1; }));
  told.node->leave(true);
  told.node->stop();
  told.connection->stop();
  REQUIRE(told.loop.until([&] { return api.times("DELETE " + kLease) == 2; }));
}

TEST_CASE("one that only takes away asks first who it is, and writes nothing") {
  Api api;
  {
    Told told(api);
    told.node->leave(true);
    told.node->stop();
    REQUIRE(told.loop.until([&] { return told.node->left(); }));
    CHECK(told.node->left_behind().empty());
  }
  CHECK(api.times("PATCH " + kNode) == 1);
  CHECK(api.body("PATCH " + kNode).find("feature.node.kubernetes.io") == std::string::npos);
  CHECK(api.times("DELETE " + kLease) == 1);
  CHECK(api.times("DELETE " + kInventory) == 1);
  CHECK(api.times("PATCH " + kLease) == 0);

  Api other([](const std::string& what, const Http2Asked&) -> std::optional<Http2Answer> {
    if (what != "GET " + kNode) return std::nullopt;
    return refused(403, "no");
  });
  Told told(other);
  told.node->leave(true);
  told.node->stop();
  REQUIRE(told.loop.until([&] { return told.node->left(); }));
  CHECK(told.node->left_behind().find("labels") == 0);
  CHECK(other.times("PATCH " + kNode) == 0);
  CHECK(other.times("DELETE " + kLease) == 1);
}

TEST_CASE("without rights nothing is tried for ever, and what is left is told") {
  Api api([](const std::string& what, const Http2Asked&) -> std::optional<Http2Answer> {
    if (what == "DELETE " + kInventory) return refused(403, "forbidden");
    return std::nullopt;
  });
  Told told(api);
  REQUIRE(told.loop.until([&] { return api.times("PATCH " + kNode) == 1; }));
  told.node->leave(true);
  REQUIRE(told.until_state(PartState::degraded, "left behind: NodeInventory: the API server answered 403: forbidden"));
  told.loop.run_for(300ms);
  CHECK(api.times("DELETE " + kInventory) == 1);
}

}  // namespace omnitide::daemon
