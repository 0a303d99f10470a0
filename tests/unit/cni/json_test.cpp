#include "agent/cni/json.hpp"

#include "tests/harness/catch.hpp"

using namespace omnitide;
using cni::Json;

namespace {

bool is_json(std::string_view text) { return Json::parse(text).has_value(); }

}  // namespace

TEST_CASE("what RFC 8259 calls JSON is taken, and nothing else") {
  for (const std::string_view good :
       {"{}", "[]", " [ 1 , 2 ] ", "null", "true", "-0.5e+7", "\"\"", R"("\u00e9\n\"\\/")", R"({"a":{"b":[{}]}})", "0"})
    CHECK(is_json(good));
  for (const std::string_view bad : {"",         " ",         "{",         "[1,]",        "{,}",
                                     R"({"a"})", R"({"a":})", "{a:1}",     "01",          "1.",
                                     "-",        "+1",        "1e",        "nul",         "'a'",
                                     "\"a",      R"("\x")",   R"("\u12")", R"("\u0x12")", "\"\t\"",
                                     "[] []",    "{}}",       "NaN",       "[1 2]",       R"({"a":1 "b":2})"})
    CHECK_FALSE(is_json(bad));
}

TEST_CASE("no text goes deeper than 64 levels") {
  const auto nested = [](int depth) {
    return std::string(static_cast<std::size_t>(depth), '[') + std::string(static_cast<std::size_t>(depth), ']');
  };
  CHECK(is_json(nested(64)));
  CHECK_FALSE(is_json(nested(65)));
  CHECK_FALSE(is_json(std::string(1'000'000, '[')));
}

TEST_CASE("members are found as they were written, the last of a name") {
  const auto object = Json::parse(R"({"a": 1, "b" : { "x":[1, 2 ] } ,"a":"two","\u0063":3})");
  REQUIRE(object);
  CHECK(object->find("a")->text() == "\"two\"");
  CHECK(object->find("b")->text() == R"({ "x":[1, 2 ] })");
  CHECK(object->find("c")->number() == 3U);
  CHECK_FALSE(object->find("x"));
  CHECK(object->text_member("a") == "two");
  CHECK(object->text_member("b").empty());
  CHECK(object->members().size() == 4);
  CHECK(object->find("b")->find("x")->items().size() == 2);
  CHECK(object->items().empty());
  CHECK_FALSE(object->find("a")->find("a"));
}

TEST_CASE("strings are decoded, halves of surrogates replaced") {
  const auto text = [](std::string_view json) { return Json::parse(json)->string().value_or("none"); };
  CHECK(text(R"("a\/b\"\\\b\f\n\r\t")") == "a/b\"\\\b\f\n\r\t");
  CHECK(text(R"("\u00e9\u20ac\ud83d\ude00")") == "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(text(R"("\ud83dx\ude00")") == "\xef\xbf\xbdx\xef\xbf\xbd");
  CHECK(text(R"("\ud83d\u0041")") ==
        "\xef\xbf\xbd"
        "A");
  CHECK(text("1") == "none");
}

TEST_CASE("a number is a whole one without a sign, or none") {
  const auto number = [](std::string_view json) { return Json::parse(json)->number(); };
  CHECK(number("4294967295") == 4294967295U);
  for (const std::string_view none : {"4294967296", "-1", "1.0", "1e2", "\"1\"", "null"})
    CHECK_FALSE(number(none));
}
