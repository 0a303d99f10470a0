// What the plugin does, with each failure of the kernel and of the agent.
#include "agent/cni/plugin.hpp"

#include <optional>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::cni;

namespace {

struct PlayedNode final : Node {
  Result<Device> node_end(const std::string&, const std::string&) override {
    done.emplace_back("look");
    return device;
  }
  Result<> close(const std::string&, std::uint32_t ifindex) override {
    done.push_back("close " + std::to_string(ifindex));
    return closes;
  }
  void open(const std::string&, std::uint32_t ifindex) override { done.push_back("open " + std::to_string(ifindex)); }
  bool is_guarded(const std::string&, std::uint32_t) override { return guarded; }
  void sweep(const std::string&) override { done.emplace_back("sweep"); }
  Result<Answer> ask(const Settings&, const Sandbox& sandbox) override {
    done.emplace_back("ask");
    asked = sandbox;
    return answer;
  }
  void tell_gone(const Settings&, const Sandbox& sandbox) override { done.push_back("gone " + sandbox.container); }
  bool is_installed() override { return installed; }

  Result<Device> device = Device{.ifindex = 7, .name = "veth7"};
  Result<> closes;
  Result<Answer> answer = Answer{.state = Answer::State::judged, .reason = {}};
  bool guarded = true, installed = true;
  std::vector<std::string> done;
  Sandbox asked;
};

using Steps = std::vector<std::string>;
const Steps kClosed{"sweep", "look", "close 7", "ask"}, kOpened{"sweep", "look", "close 7", "ask", "open 7"};
const std::string kPrevious = R"({ "cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24"}] })";

Request request(Command command) {
  Request out;
  out.command = command;
  out.version = "1.0.0";
  out.container = "c1";
  out.netns = "/run/netns/x";
  out.interface = "eth0";
  out.pod_space = "shop";
  out.pod_name = "web-0";
  out.previous = kPrevious;
  out.settings = {.socket = "/s", .pins = "/p"};
  return out;
}

std::string added(PlayedNode& node, const Request& what = request(Command::add)) {
  std::string remark;
  const Outcome<std::string> result = run(what, node, remark);
  return result.has_value() ? *result : "code " + std::to_string(static_cast<int>(result.error().code));
}

}  // namespace

TEST_CASE("a pod is closed before anybody is asked, and the result before is passed on") {
  PlayedNode node;
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == kClosed);
  CHECK(node.asked.device == "veth7");
  CHECK(node.asked.addresses == std::vector<std::string>{"10.1.0.5"});
}

TEST_CASE("a pod that is not judged in time starts, closed") {
  PlayedNode node;
  node.answer = Answer{.state = Answer::State::waiting, .reason = "slow"};
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == kClosed);
}

TEST_CASE("where nothing is enforced a pod is opened") {
  PlayedNode node;
  node.answer = Answer{.state = Answer::State::open, .reason = "audit"};
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == kOpened);
}

TEST_CASE("without an agent a pod starts as the settings say") {
  PlayedNode node;
  node.answer = fail(Code::unavailable, "nobody listens");
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == kClosed);
  node.done.clear();
  Request open = request(Command::add);
  open.settings.absent_closed = false;
  CHECK(added(node, open) == kPrevious + "\n");
  CHECK(node.done == kOpened);
}

TEST_CASE("a plugin that was removed while it ran leaves nobody closed") {
  PlayedNode node;
  node.answer = fail(Code::unavailable, "nobody listens");
  node.installed = false;
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == kOpened);
}

TEST_CASE("a pod that cannot be closed does not start, unless it might start open") {
  PlayedNode node;
  node.closes = fail(Code::failed_precondition, "no bpffs");
  CHECK(added(node) == "code 100");
  CHECK(node.done == Steps{"sweep", "look", "close 7", "open 7"});
  node.done.clear();
  Request open = request(Command::add);
  open.settings.absent_closed = false;
  CHECK(added(node, open) == kPrevious + "\n");
  CHECK(node.done == Steps{"sweep", "look", "close 7", "open 7", "ask"});
}

TEST_CASE("a link without an end on the node is passed over, one that cannot be looked at is a failure") {
  PlayedNode node;
  node.device = fail(Code::unimplemented, "ipvlan");
  CHECK(added(node) == kPrevious + "\n");
  CHECK(node.done == Steps{"sweep", "look"});
  node.device = fail(Code::permission_denied, "no");
  CHECK(added(node) == "code 5");
}

TEST_CASE("what is no pod is left alone") {
  PlayedNode node;
  Request plain = request(Command::add);
  plain.pod_name.clear();
  CHECK(added(node, plain) == kPrevious + "\n");
  CHECK(node.done.empty());
}

TEST_CASE("the end of a pod is told, and opens nothing") {
  PlayedNode node;
  CHECK(added(node, request(Command::del)).empty());
  CHECK(node.done == Steps{"sweep", "gone c1"});
}

TEST_CASE("a check finds a pod that nothing judges") {
  PlayedNode node;
  CHECK(added(node, request(Command::check)).empty());
  node.guarded = false;
  CHECK(added(node, request(Command::check)) == "code 100");
  Request open = request(Command::check);
  open.settings.absent_closed = false;
  CHECK(added(node, open).empty());
}
