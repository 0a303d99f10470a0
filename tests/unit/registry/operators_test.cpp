#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/harness/catch.hpp"
#include "tests/harness/registry.hpp"

using namespace omnitide;
using namespace omnitide::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

v1::Node shown(ControlPlane& plane, const std::string& id) {
  return plane.admin().call("GET", "/v1/nodes/" + id).as<v1::Node>();
}

std::vector<std::string> ids(const v1::NodeList& list) {
  std::vector<std::string> out;
  for (const v1::Node& node : list.items())
    out.push_back(node.node_id());
  return out;
}

v1::Node label(ControlPlane& plane, const std::string& id, const std::string& key, const std::string& value) {
  v1::LabelsRequest request;
  (*request.mutable_set())[key] = value;
  return plane.admin().call("POST", "/v1/nodes/" + id + ":labels", &request).as<v1::Node>();
}

// The lines of a watch until `enough` says so, or the server ends it.
std::vector<std::string> watch(ControlPlane& plane, const std::string& path,
                               const std::function<bool(const std::vector<std::string>&)>& enough) {
  Caller caller = plane.admin();
  std::vector<std::string> lines;
  std::string rest;
  const auto on_bytes = [&](std::string_view bytes) {
    rest += bytes;
    for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
      lines.push_back(rest.substr(0, end));
      rest.erase(0, end + 1);
    }
    return lines.empty() || !enough(lines);  // no bytes: the head
  };
  const Result<io::HttpResponse> ended =
      pump(plane.loop, caller.client().stream(Caller::request("GET", path), on_bytes));
  if (ended.has_error() && lines.empty()) throw std::runtime_error(ended.error().text());
  return lines;
}

bool has(const std::string& line, const std::string& part) { return line.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("nodes are listed in pages, filtered by labels and state") {
  ControlPlane plane;
  const std::string token = plane.token();
  std::vector<Device> devices;
  std::vector<std::string> expected;
  for (int i = 0; i < 7; ++i) {
    devices.emplace_back(plane).join(token);
    expected.push_back(devices.back().id);
  }
  std::sort(expected.begin(), expected.end());
  std::vector<std::string> all;
  std::string page;
  int pages = 0;
  do {
    const auto list = plane.admin().call("GET", "/v1/nodes?pageSize=3&pageToken=" + page).as<v1::NodeList>();
    CHECK(list.items_size() <= 3);
    for (const std::string& id : ids(list))
      all.push_back(id);
    page = list.next_page_token();
    ++pages;
  } while (!page.empty());
  CHECK(all == expected);
  CHECK(pages == 3);
  label(plane, expected[2], "site", "lab");
  CHECK(ids(plane.admin().call("GET", "/v1/nodes?labelSelector=site in (lab,home)").as<v1::NodeList>()) ==
        std::vector<std::string>{expected[2]});
  CHECK(plane.admin().call("GET", "/v1/nodes?labelSelector=!site").as<v1::NodeList>().items_size() == 6);
  CHECK(plane.admin().call("GET", "/v1/nodes?state=approved").as<v1::NodeList>().items_size() == 7);
  CHECK(plane.admin().call("GET", "/v1/nodes?state=BANNED").as<v1::NodeList>().items_size() == 0);
  CHECK(plane.admin().call("GET", "/v1/nodes?state=odd").error().field == "state");
  CHECK(plane.admin().call("GET", "/v1/nodes?pageSize=0").error().field == "pageSize");
  CHECK(plane.admin().call("GET", "/v1/nodes?pageToken=?").error().field == "pageToken");
  CHECK(plane.admin().call("GET", "/v1/nodes?labelSelector=,").error().field == "labelSelector");
  CHECK(plane.admin().call("GET", "/v1/nodes/n-nobody").status() == 404);
}

TEST_CASE("labels: the token's win over the agent's, the registry's over both, and the node is told") {
  ControlPlane plane;
  v1::CreateTokenRequest wanted;
  (*wanted.mutable_labels())["site"] = "token";
  (*wanted.mutable_labels())["tier"] = "token";
  Device device(plane);
  device.join(plane.token(wanted));
  v1::PutNodeRequest put = device.put_request("");
  for (const char* key : {"site", "tier", "rack"})
    (*put.mutable_labels())[key] = "agent";
  const v1::NodeAck before = device.put(put).as<v1::NodeAck>();
  CHECK(before.labels().at("rack") == "agent");
  CHECK(before.labels().at("tier") == "token");
  label(plane, device.id, "site", "registry");
  const v1::NodeAck beat = device.heartbeat().as<v1::NodeAck>();
  CHECK(beat.labels_version() > before.labels_version());
  const v1::NodeAck after = device.put(put).as<v1::NodeAck>();
  CHECK(after.labels().at("site") == "registry");
  CHECK(after.labels().at("tier") == "token");
  v1::LabelsRequest removal;
  removal.add_remove("site");
  CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":labels", &removal).as<v1::Node>().labels().at("site") ==
        "token");
  v1::LabelsRequest bad;
  (*bad.mutable_set())["-"] = "x";
  CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":labels", &bad).status() == 400);
}

TEST_CASE("ban, quarantine, approve and delete decide at once what a node may do") {
  ControlPlane plane;
  Device device(plane);
  const std::string token = plane.token();
  device.join(token);
  CHECK(device.heartbeat().status() == 200);
  v1::StateChangeRequest why;
  why.set_reason("lost in the field");
  for (const char* verb : {"ban", "quarantine"}) {
    CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":" + verb, &why).as<v1::Node>().state_reason() ==
          "lost in the field");
    const Reply refused = device.heartbeat();
    CHECK(refused.status() == 403);
    CHECK(has(refused.error().message, "lost in the field"));
    CHECK(device.try_join(token).status() == 403);
    CHECK(device.renew().status() == 403);
    CHECK(plane.admin().call("POST", "/v1/nodes/" + device.id + ":approve").status() == 200);
    CHECK(device.heartbeat().status() == 200);
  }
  CHECK(plane.admin().call("DELETE", "/v1/nodes/" + device.id).status() == 200);
  CHECK(device.heartbeat().status() == 404);
  CHECK(plane.admin().call("DELETE", "/v1/nodes/" + device.id).status() == 404);
  CHECK(device.join(token).state() == v1::NODE_STATE_APPROVED);  // joins anew
}

TEST_CASE("a replacement takes labels and place; the old key is banned") {
  ControlPlane plane;
  Device old(plane), fresh(plane);
  old.join(plane.token());
  label(plane, old.id, "site", "roof");
  v1::CreateTokenRequest manual;
  manual.set_approve(v1::APPROVAL_MODE_MANUAL);
  const std::string token = plane.token(manual);
  CHECK(fresh.join(token).state() == v1::NODE_STATE_PENDING);
  v1::ReplaceRequest request;
  request.set_new_node_id(fresh.id);
  const v1::Node node = plane.admin().call("POST", "/v1/nodes/" + old.id + ":replace", &request).as<v1::Node>();
  CHECK(node.node_id() == fresh.id);
  CHECK(node.state() == v1::NODE_STATE_APPROVED);
  CHECK(node.labels().at("site") == "roof");
  CHECK(node.replaces() == old.id);
  CHECK(shown(plane, old.id).state() == v1::NODE_STATE_BANNED);
  CHECK(old.heartbeat().status() == 403);
  CHECK_FALSE(fresh.join(token).certificate_der().empty());
  request.set_new_node_id("n-nobody");
  CHECK(plane.admin().call("POST", "/v1/nodes/" + old.id + ":replace", &request).status() == 404);
  request.set_new_node_id(old.id);
  CHECK(plane.admin().call("POST", "/v1/nodes/" + old.id + ":replace", &request).status() == 400);
}

TEST_CASE("a watch shows what is there, then what changes, and resumes where it ended") {
  ControlPlane plane;
  const std::string token = plane.token();
  Device first(plane), second(plane);
  first.join(token);
  auto lines = watch(plane, "/v1/nodes:watch", [](const auto& seen) { return seen.size() == 2; });
  CHECK(has(lines[0], "WATCH_TYPE_ADDED"));
  CHECK(has(lines[0], first.id));
  CHECK(has(lines[1], "WATCH_TYPE_BOOKMARK"));
  const std::string key = "\"resourceVersion\":\"";
  const std::size_t at = lines[1].find(key) + key.size();
  const std::string version = lines[1].substr(at, lines[1].find('"', at) - at);
  second.join(token);
  label(plane, first.id, "a", "b");
  (void)plane.admin().call("DELETE", "/v1/nodes/" + second.id).as<v1::Empty>();
  lines = watch(plane, "/v1/nodes:watch?resourceVersion=" + version, [](const auto& seen) { return seen.size() == 3; });
  CHECK(has(lines[0], second.id));
  CHECK(has(lines[1], "WATCH_TYPE_MODIFIED"));
  CHECK(has(lines[1], "\"a\":\"b\""));
  CHECK(has(lines[2], "WATCH_TYPE_DELETED"));
  plane.restart();
  const Reply gone = plane.admin().call("GET", "/v1/nodes:watch?resourceVersion=" + version);
  CHECK(gone.status() == 412);
  CHECK(gone.error().field == "resourceVersion");
  CHECK(plane.admin().call("GET", "/v1/nodes:watch?resourceVersion=x").status() == 400);
}

TEST_CASE("a watch that is open sees a change at once; the log of changes is bounded") {
  ControlPlane plane([](registry::Options& options) { options.event_log = 4; });
  Device device(plane);
  device.join(plane.token());
  Caller other = plane.admin();
  v1::LabelsRequest request;
  (*request.mutable_set())["late"] = "yes";
  asio::co_spawn(
      plane.loop,
      [](ControlPlane& on, Caller& by, const std::string& id,
         const v1::LabelsRequest& change) -> asio::awaitable<void> {
        asio::steady_timer pause(on.loop, 100ms);
        co_await pause.async_wait(asio::use_awaitable);
        (void)co_await by.client().send(Caller::request("POST", "/v1/nodes/" + id + ":labels", &change));
      }(plane, other, device.id, request),
      [](std::exception_ptr) {});
  const auto lines = watch(plane, "/v1/nodes:watch", [](const auto& seen) { return has(seen.back(), "late"); });
  CHECK(lines.size() == 3);
  const std::uint64_t version = shown(plane, device.id).resource_version();
  for (int i = 0; i < 6; ++i)
    label(plane, device.id, "n", std::to_string(i));
  CHECK(plane.admin().call("GET", "/v1/nodes:watch?resourceVersion=" + std::to_string(version)).status() == 412);
}

TEST_CASE("an operator makes another, a revoked certificate opens nothing, the last one stays") {
  ControlPlane plane;
  const io::PrivateKey key = must(io::PrivateKey::generate());
  v1::CreateOperatorRequest request;
  request.set_name("second");
  request.set_csr_der(must(io::make_csr(key, "whatever")));
  const auto made = plane.admin().call("POST", "/v1/operators", &request).as<v1::Operator>();
  const io::CertificateInfo info = must(io::parse_certificate(made.certificate_der()));
  CHECK(info.common_name == "second");
  CHECK(info.organizational_unit == "operator");
  Caller second = plane.caller(made.certificate_der(), key);
  CHECK(second.call("GET", "/v1/nodes").status() == 200);
  CHECK(plane.admin().call("POST", "/v1/operators/" + made.serial() + ":revoke").as<v1::Operator>().revoked());
  CHECK(second.call("GET", "/v1/nodes").status() == 403);
  plane.restart();
  second = plane.caller(made.certificate_der(), key);
  CHECK(second.call("GET", "/v1/nodes").status() == 403);
  const auto list = plane.admin().call("GET", "/v1/operators").as<v1::OperatorList>();
  REQUIRE(list.items_size() == 2);
  for (const v1::Operator& one : list.items()) {
    if (one.name() == "admin")
      CHECK(plane.admin().call("POST", "/v1/operators/" + one.serial() + ":revoke").status() == 412);
  }
  request.set_name("bad\nname");
  CHECK(plane.admin().call("POST", "/v1/operators", &request).error().field == "name");
}

TEST_CASE("a request from a web page is not taken, whatever certificate the browser holds") {
  ControlPlane plane;
  io::HttpRequest request = Caller::request("GET", "/v1/nodes");
  request.headers.emplace_back("origin", "https://elsewhere.example");
  CHECK(plane.admin().send(std::move(request)).status() == 403);
}

TEST_CASE("tokens are listed without secrets and checked when made") {
  ControlPlane plane;
  for (int i = 0; i < 3; ++i)
    (void)plane.token();
  const auto list = plane.admin().call("GET", "/v1/tokens").as<v1::TokenList>();
  CHECK(list.items_size() == 3);
  for (const v1::Token& token : list.items())
    CHECK(token.secret().empty());
  v1::CreateTokenRequest request;
  request.mutable_expires()->set_seconds(1);
  CHECK(plane.admin().call("POST", "/v1/tokens", &request).error().field == "expires");
  request.clear_expires();
  request.set_uses(2'000'000);
  CHECK(plane.admin().call("POST", "/v1/tokens", &request).error().field == "uses");
  CHECK(plane.admin().call("POST", "/v1/tokens/nothing:revoke").status() == 404);
}

TEST_CASE("what a device says about itself cannot forge a line or an answer") {
  ControlPlane plane;
  Device device(plane);
  device.join(plane.token());
  v1::PutNodeRequest put = device.put_request("");
  put.set_hostname("evil\"}\n{\"x\":\"\x1b[2J");
  CHECK(device.put(put).status() == 200);
  io::HttpRequest request = Caller::request("GET", "/v1/nodes");
  request.headers = {{"accept", "application/json"}};
  const std::string body = plane.admin().send(std::move(request)).http.body;
  CHECK(body.find('\x1b') == std::string::npos);
  CHECK(body.find('\n') == std::string::npos);
  CHECK(has(body, R"(evil\"}\n{\"x\":\"\u001b[2J)"));
  const auto lines = watch(plane, "/v1/nodes:watch", [](const auto& seen) { return seen.size() == 2; });
  CHECK(has(lines[0], device.id));
  CHECK(has(lines[1], "BOOKMARK"));
}
