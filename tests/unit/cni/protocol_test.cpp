#include "agent/cni/protocol.hpp"

#include "agent/cni/json.hpp"
#include "agent/cni/sandbox.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::cni;

namespace {

const std::string kSettings = R"("socket":"/run/a.sock","pins":"/pins","absent":"closed","timeoutSeconds":3)";
const std::string kResult =
    R"({"cniVersion": "1.0.0", "interfaces":[{"name":"cni0"},{"name":"veth1"},)"
    R"({"name":"eth0","sandbox":"/run/netns/x"}],"ips":[{"interface":2,"address":"10.1.0.5/24"}]})";

std::string input(const std::string& version, const std::string& rest) {
  return R"({"cniVersion":")" + version + R"(","name":"n","type":"omnitide-cni",)" + rest + "}";
}

Environment environment(const std::string& command) {
  return {.command = command,
          .container = "c1",
          .netns = "/run/netns/x",
          .interface = "eth0",
          .arguments = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=u-1"};
}

ErrorCode code_of(const Outcome<Request>& request) {
  REQUIRE(request.has_error());
  return request.error().code;
}

}  // namespace

TEST_CASE("a request has the pod's name, the settings and the result before it, byte by byte") {
  const auto request = parse_request(environment("ADD"), input("1.0.0", kSettings + R"(, "prevResult" : )" + kResult));
  REQUIRE(request.has_value());
  CHECK(request->command == Command::add);
  CHECK(request->version == "1.0.0");
  CHECK(request->previous == kResult);
  CHECK(request->pod_space == "shop");
  CHECK(request->pod_name == "web-0");
  CHECK(request->pod_uid == "u-1");
  CHECK(request->settings.socket == "/run/a.sock");
  CHECK(request->settings.absent_closed);
  CHECK(request->settings.timeout == std::chrono::seconds{3});
}

TEST_CASE("every version of the list is spoken, others are told by code 1") {
  for (const std::string version : {"0.3.1", "0.4.0", "1.0.0", "1.1.0"})
    CHECK(parse_request(environment("ADD"), input(version, kSettings + R"(,"prevResult":)" + kResult)).has_value());
  for (const std::string version : {"0.1.0", "0.2.0", "0.3.0", "1.2.0", ""})
    CHECK(code_of(parse_request(environment("ADD"), input(version, kSettings + R"(,"prevResult":)" + kResult))) ==
          ErrorCode::incompatible_version);
}

TEST_CASE("what is wrong has the code of the specification") {
  CHECK(code_of(parse_request(environment(""), "")) == ErrorCode::invalid_environment);
  CHECK(code_of(parse_request(environment("ADDD"), "{}")) == ErrorCode::invalid_environment);
  CHECK(code_of(parse_request(environment("ADD"), "{\"cniVersion\":")) == ErrorCode::undecodable);
  CHECK(code_of(parse_request(environment("ADD"), input("1.0.0", kSettings))) == ErrorCode::invalid_configuration);
  CHECK(code_of(parse_request(environment("ADD"), input("1.0.0", kSettings + R"(,"prevResult":null)"))) ==
        ErrorCode::invalid_configuration);
  for (const std::string settings :
       {R"("socket":"a","pins":"/p","absent":"closed")", R"("socket":"/a","absent":"closed")",
        R"("socket":"/a","pins":"/p","absent":"maybe")",
        R"("socket":"/a","pins":"/p","absent":"open","timeoutSeconds":0)",
        R"("socket":"/a","pins":"/p","absent":"open","timeoutSeconds":61)"})
    CHECK(code_of(parse_request(environment("DEL"), input("1.0.0", settings))) == ErrorCode::invalid_configuration);
  Environment without = environment("ADD");
  without.netns.clear();
  CHECK(code_of(parse_request(without, input("1.0.0", kSettings + R"(,"prevResult":)" + kResult))) ==
        ErrorCode::invalid_environment);
}

TEST_CASE("what is taken away needs neither a result nor a namespace, and GC and STATUS no container") {
  Environment del = environment("DEL");
  del.netns.clear();
  CHECK(parse_request(del, input("0.4.0", kSettings)).has_value());
  for (const std::string command : {"GC", "STATUS"})
    CHECK(parse_request({.command = command, .container = {}, .netns = {}, .interface = {}, .arguments = {}},
                        input("1.1.0", kSettings))
              .has_value());
}

TEST_CASE("VERSION says what is spoken, whatever comes") {
  for (const std::string text : {"", "{}", "{\"cniVersion\":\"0.4.0\"}", "rubbish"})
    CHECK(parse_request(environment("VERSION"), text).has_value());
  CHECK(version_text("0.4.0") ==
        "{\"cniVersion\":\"0.4.0\",\"supportedVersions\":[\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}\n");
  CHECK(Json::parse(version_text("9"))->text_member("cniVersion") == "1.1.0");
}

TEST_CASE("a failure is an object of the specification") {
  const std::string text =
      failure_text({.code = ErrorCode::not_closed, .message = "a \"b\"", .details = "c\nd", .version = "0.4.0"});
  const auto json = Json::parse(text);
  REQUIRE(json);
  CHECK(json->text_member("cniVersion") == "0.4.0");
  CHECK(json->find("code")->number() == 100U);
  CHECK(json->text_member("msg") == "a \"b\"");
  CHECK(json->text_member("details") == "c\nd");
}

TEST_CASE("addresses are those of the pod's interface, the first of each family") {
  using Texts = std::vector<std::string>;
  CHECK(addresses_in(kResult, "eth0") == Texts{"10.1.0.5"});
  CHECK(addresses_in(R"({"ips":[{"address":"fd00::5/64"},{"address":"10.1.0.5/24"},{"address":"10.1.0.6/24"}]})",
                     "eth0") == Texts{"fd00::5", "10.1.0.5"});
  CHECK(
      addresses_in(R"({"interfaces":[{"name":"veth1"},{"name":"eth0","sandbox":"/x"},{"name":"net1","sandbox":"/x"}],)"
                   R"("ips":[{"interface":0,"address":"10.0.0.1/24"},{"interface":2,"address":"10.0.0.2/24"},)"
                   R"({"interface":1,"address":"10.0.0.3/24"}]})",
                   "eth0") == Texts{"10.0.0.3"});
  CHECK(addresses_in(R"({"ips":[{"address":"10.1.0"},{"address":5},{}]})", "eth0").empty());
  CHECK(addresses_in("{}", "eth0").empty());
}

TEST_CASE("a sandbox and an answer are read as they were written") {
  const Sandbox sandbox{.container = "c\"1",
                        .name_space = "shop",
                        .name = "web-0",
                        .uid = "u",
                        .device = "veth1",
                        .ifindex = 7,
                        .addresses = {"10.1.0.5", "fd00::5"}};
  const Result<Sandbox> read = parse_sandbox(to_json(sandbox));
  REQUIRE(read);
  CHECK(read->container == sandbox.container);
  CHECK(read->name == "web-0");
  CHECK(read->ifindex == 7);
  CHECK(read->addresses == sandbox.addresses);
  CHECK_FALSE(parse_sandbox("{}"));
  CHECK_FALSE(parse_sandbox("[1"));
  for (const auto state : {Answer::State::judged, Answer::State::waiting, Answer::State::open}) {
    const Result<Answer> answer = parse_answer(to_json(Answer{.state = state, .reason = "because"}));
    REQUIRE(answer);
    CHECK(answer->state == state);
    CHECK(answer->reason == "because");
  }
  CHECK_FALSE(parse_answer(R"({"state":"other"})"));
}
