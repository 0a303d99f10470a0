#include "agent/codec/json.hpp"

#include <google/protobuf/util/json_util.h>

#include <limits>
#include <string>

#include "omnitide/node/v1/local.pb.h"
#include "omnitide/node/v1/registration.pb.h"
#include "omnitide/node/v1/registry.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/reference_message.hpp"

using namespace omnitide;
using codec::from_json;
using codec::JsonForm;
using codec::to_json;
using codec::to_yaml;

namespace {

node::v1::Discovery sample_discovery() {
  node::v1::Discovery d;
  d.mutable_facts()->mutable_cpu()->set_model("Xeon \"x\" \\ \n\x01 \xe2\x82\xac");
  d.mutable_facts()->mutable_cpu()->add_flags("avx2");
  d.mutable_facts()->mutable_memory()->set_total_bytes(1ULL << 63U);
  d.mutable_facts()->add_network()->set_numa_node(-1);
  auto& sample = *d.add_samples();
  sample.set_name("m");
  sample.set_value(0.1);
  (*sample.mutable_labels())["b"] = "2";
  (*sample.mutable_labels())["a"] = "1";
  d.add_sources()->mutable_last_success()->set_seconds(1'700'000'000);
  d.mutable_sources(0)->mutable_last_success()->set_nanos(5'000'000);
  return d;
}

}  // namespace

TEST_CASE("what is written as JSON is read back as the same message, by the reference parser too") {
  const node::v1::Discovery before = sample_discovery();
  for (const JsonForm form : {JsonForm::compact, JsonForm::pretty}) {
    const std::string text = to_json(before, form);
    node::v1::Discovery ours;
    REQUIRE(from_json(text, ours));
    const test::ReferenceMessage theirs = test::reference(before.GetTypeName());
    REQUIRE(google::protobuf::util::JsonStringToMessage(text, theirs.get()).ok());
    CHECK(test::equal(test::reference(before), test::reference(ours)));
    CHECK(test::equal(test::reference(before), theirs));
  }
}

TEST_CASE("names are lowerCamelCase, 64-bit integers texts, bytes base64, times RFC 3339, enums names") {
  node::v1::Node node;
  node.set_node_id("n-1");
  node.set_generation(18446744073709551615ULL);
  node.set_facts_sha256(std::string("\0\xff", 2));
  node.set_state(node::v1::NODE_STATE_APPROVED);
  node.mutable_joined()->set_seconds(0);
  CHECK(to_json(node) ==
        R"({"nodeId":"n-1","state":"NODE_STATE_APPROVED","online":false,)"
        R"("joined":"1970-01-01T00:00:00.000Z","generation":"18446744073709551615",)"
        R"("factsSha256":"AP8=","labels":{},"registryLabels":{},"resourceVersion":"0","desiredVersion":"0"})");
}

TEST_CASE("an empty list is there, and says that no page follows by having no token") {
  CHECK(to_json(node::v1::NodeList()) == R"({"items":[]})");
  CHECK(to_json(node::v1::NodeList(), JsonForm::pretty) == "{\n  \"items\": []\n}\n");
}

TEST_CASE("numbers that JSON has not are written as the names that proto3 gives them") {
  node::v1::Sample sample;
  sample.set_value(std::numeric_limits<double>::quiet_NaN());
  CHECK(to_json(sample).find(R"("value":"NaN")") != std::string::npos);
  sample.set_value(-std::numeric_limits<double>::infinity());
  CHECK(to_json(sample).find(R"("value":"-Infinity")") != std::string::npos);
  sample.set_value(1e300);
  node::v1::Sample back;
  REQUIRE(from_json(to_json(sample), back));
  CHECK(back.value() == 1e300);
}

TEST_CASE("input with a field that the message has not is refused and named") {
  node::v1::CreateTokenRequest request;
  const auto refused = from_json(R"({"uses": 1, "usess": 2})", request);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid_argument);
  CHECK(refused.error().message.find("usess") != std::string::npos);
  CHECK(request.uses() == 0);
}

TEST_CASE("input that is no JSON, too deep or of the wrong type is refused") {
  node::v1::CreateTokenRequest request;
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("nonsense"), std::string("{'uses':1}"),
        std::string(R"({"uses":"many"})"), std::string(R"({"uses":-1})"), std::string(R"({"uses":1} trailing)"),
        std::string(R"({"comment":"never ends)"), std::string(100'000, '['), std::string(R"({"labels":[1]})"),
        R"({"labels":)" + std::string(40, '{')}) {
    INFO(text.substr(0, 40));
    const auto refused = from_json(text, request);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::invalid_argument);
  }
  CHECK(from_json(std::string(codec::kMaxJsonBytes + 1, ' '), request).error().code == Code::resource_exhausted);
}

TEST_CASE("brackets and quotes inside of strings do not count as nesting") {
  node::v1::CreateTokenRequest request;
  REQUIRE(from_json(R"({"comment":")" + std::string(100, '[') + R"( it's \" ok"})", request));
  CHECK(request.comment().ends_with("it's \" ok"));
}

TEST_CASE("YAML shows the JSON form in block style") {
  node::v1::Token token;
  token.set_token_id("t1");
  token.set_comment("no");
  (*token.mutable_labels())["omnitide.io/site"] = "12";
  node::v1::TokenList list;
  *list.add_items() = token;
  CHECK(to_yaml(list) ==
        "items:\n"
        "  - tokenId: t1\n"
        "    approve: APPROVAL_MODE_UNSPECIFIED\n"
        "    uses: 0\n"
        "    used: 0\n"
        "    labels:\n"
        "      omnitide.io/site: \"12\"\n"
        "    comment: \"no\"\n"
        "    revoked: false\n");
  CHECK(to_yaml(node::v1::TokenList()) == "items: []\n");
  CHECK(to_yaml(node::v1::Empty()) == "{}\n");
}

TEST_CASE("YAML quotes every text that a reader could take for something else") {
  node::v1::Token token;
  for (const char* risky :
       {"",          "true",     "Null", "12", "1e3", "- a", "a: b", "a #b", "#a", "*a", "&a",  "!a", "a\nb",
        "trailing ", " leading", "0x1f", "~",  "[a",  "{a",  "%a",   "@a",   "`a", "'a", "\"a", "off"}) {
    token.set_comment(risky);
    const std::string yaml = to_yaml(token);
    INFO(yaml);
    if (*risky == '\0') {
      CHECK(yaml.find("comment") == std::string::npos);
    } else {
      CHECK(yaml.find("comment: \"") != std::string::npos);
    }
  }
  token.set_comment("QEMU Standard PC (i440FX + PIIX, 1996)");
  CHECK(to_yaml(token).find("comment: QEMU Standard PC (i440FX + PIIX, 1996)\n") != std::string::npos);
}

TEST_CASE("a number comes back as it was, to the last bit") {
  std::uint64_t state = 88172645463325252ULL;
  for (int i = 0; i < 20'000; ++i) {
    state ^= state << 13U, state ^= state >> 7U, state ^= state << 17U;
    node::v1::Sample sample, back;
    sample.set_value(static_cast<double>(state % 1'000'000'000'000ULL) / 1e6);
    REQUIRE(from_json(to_json(sample), back));
    REQUIRE(back.value() == sample.value());
  }
}
