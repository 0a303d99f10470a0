#include "agent/cni/conflist.hpp"

#include "agent/cni/json.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::cni;

namespace {

const std::string kEntry = entry_of({.socket = "/var/lib/omnitide/cni.sock", .pins = "/sys/fs/bpf/omnitide"});

const std::string kPretty = R"({
  "cniVersion": "1.0.0",
  "name": "k8s-pod-network",
  "odd":   [ 1,2 ,  {"z": 1, "a": 2} ],
  "plugins": [
    {
      "type": "bridge",
      "x": "plugins"
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
)";

std::string types_of(std::string_view list) {
  std::string out;
  for (const std::string& each : plugin_types(list))
    out += each + " ";
  return out;
}

void check_round(const std::string& list) {
  const Result<std::string> chained = chain(list, kEntry);
  REQUIRE(chained);
  CHECK(Json::parse(*chained));
  CHECK(types_of(*chained) == types_of(list) + "omnitide-cni ");
  CHECK(*chain(*chained, kEntry) == *chained);
  CHECK(*unchain(*chained) == list);
}

}  // namespace

TEST_CASE("the entry comes last, and taken out again leaves each byte as it was") {
  check_round(kPretty);
  check_round(R"({"cniVersion":"0.3.1","name":"n","plugins":[{"type":"ptp"}]})");
  check_round("{\"plugins\": [\n\t{\"type\":\"ptp\"}\n\t] , \"name\":\"n\",\"cniVersion\":\"1.1.0\"}\n\n");
  check_round(R"({"cniVersion":"0.4.0","name":"n","plugins":[ {"type":"a"} , {"type":"b"} ]})");
  check_round(R"({"cniVersion":"1.0.0","cniVersions":["1.0.0","1.1.0"],"name":"n","plugins":[{"type":"a"}]})");
}

TEST_CASE("it stands as the others stand") {
  const std::string chained = *chain(kPretty, kEntry);
  CHECK(chained.find("{\"portMappings\": true}},\n    " + kEntry + "\n  ]\n}\n") != std::string::npos);
}

TEST_CASE("an entry with other settings is replaced where it stands") {
  Settings other{
      .socket = "/run/a\"b.sock", .pins = "/pins", .absent_closed = false, .timeout = std::chrono::seconds{9}};
  std::string list = *chain(kPretty, kEntry);
  const std::size_t end = list.find("\n  ]");
  list.insert(end, ",\n    {\"type\": \"later\"}");
  const std::string changed = *chain(list, entry_of(other));
  CHECK(types_of(changed) == "bridge portmap omnitide-cni later ");
  CHECK(changed.find(kEntry) == std::string::npos);
  CHECK(changed.find(R"("socket":"/run/a\"b.sock","pins":"/pins","absent":"open","timeoutSeconds":9)") !=
        std::string::npos);
  CHECK(types_of(*unchain(changed)) == "bridge portmap later ");
}

TEST_CASE("an entry in front of the plugin that makes the interface moves behind it") {
  const std::string list = R"({"cniVersion":"1.0.0","name":"n","plugins":[)" + kEntry + R"(, {"type":"ptp"}]})";
  CHECK(types_of(*chain(list, kEntry)) == "ptp omnitide-cni ");
}

TEST_CASE("every entry of ours is taken out") {
  const std::string list = R"({"cniVersion":"1.0.0","name":"n","plugins":[)" + kEntry + R"(,{"type":"ptp"},)" + kEntry +
                           R"(,{"type":"portmap"},)" + kEntry + "]}";
  CHECK(*unchain(list) == R"({"cniVersion":"1.0.0","name":"n","plugins":[{"type":"ptp"},{"type":"portmap"}]})");
  CHECK(*unchain(kPretty) == kPretty);
}

TEST_CASE("what may not be chained to is refused with a reason") {
  const auto reason = [](const std::string& list) {
    const Result<std::string> chained = chain(list, kEntry);
    return chained ? "chained" : chained.error().text();
  };
  CHECK(reason("{").find("is no JSON") == 0);
  CHECK(reason(R"({"cniVersion":"1.0.0","name":"n","type":"ptp"})").find("has no list of plugins (") == 0);
  CHECK(reason(R"({"cniVersion":"1.0.0","plugins":{}})").find("has no list of plugins") == 0);
  CHECK(reason(R"({"cniVersion":"1.0.0","plugins":[]})") == "has an empty list of plugins");
  CHECK(reason(R"({"cniVersion":"1.0.0","plugins":[{"name":"x"}]})") == "has a plugin without a type");
  CHECK(reason(R"({"cniVersion":"1.0.0","plugins":[)" + kEntry + "]}") == "has no plugin beside ours");
  for (const std::string version : {"0.2.0", "0.3.0", "2.0.0", ""})
    CHECK(reason(R"({"cniVersion":")" + version + R"(","plugins":[{"type":"a"}]})").find("has the version") == 0);
  CHECK(reason(R"({"cniVersion":"1.0.0","cniVersions":["1.0.0","1.2.0"],"plugins":[{"type":"a"}]})")
            .find("has the version \"1.2.0\"") == 0);
}

TEST_CASE("a list is never left without a plugin") {
  CHECK_FALSE(unchain(R"({"cniVersion":"1.0.0","plugins":[)" + kEntry + "]}"));
}
