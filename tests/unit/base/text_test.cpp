#include "agent/base/text.hpp"

#include <array>
#include <string>

#include "tests/harness/catch.hpp"

using namespace omnitide;

TEST_CASE("base32 and base64 follow RFC 4648") {
  CHECK(base32_encode_lower("foobar") == "mzxw6ytboi");
  CHECK(base32_encode_lower("f") == "my");
  CHECK(base64_encode("foob") == "Zm9vYg==");
  CHECK(base64_encode("foo") == "Zm9v");
  CHECK(base64_decode("Zm9vYg==").value_or("?") == "foob");
  CHECK(base64_decode("Zm9vYmE=").value_or("?") == "fooba");
  CHECK_FALSE(base64_decode("Zm9=Yg==").has_value());
  CHECK_FALSE(base64_decode("Zm9").has_value());
}

TEST_CASE("hex goes there and back and refuses odd or foreign input") {
  const std::string bytes("\x00\xff\x7f", 3);
  CHECK(hex_encode(bytes) == "00ff7f");
  CHECK(hex_decode("00ff7f").value_or("?") == bytes);
  CHECK_FALSE(hex_decode("0").has_value());
  CHECK_FALSE(hex_decode("0x").has_value());
  CHECK_FALSE(hex_decode("zz").has_value());
}

TEST_CASE("printable lets no device move a cursor or forge a line") {
  CHECK(printable("Samsung SSD é") == "Samsung SSD é");
  CHECK(printable("a\x1b[2Jb\nc") == "a\\x1b[2Jb\\x0ac");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");           // C1 control sequence introducer
  CHECK(printable("\xe2\x80\xae") == "\\xe2\\x80\\xae");  // right-to-left override
  CHECK(printable("\xff\xc0\x80") == "\\xff\\xc0\\x80");
  CHECK(printable(std::string(100, 'x'), 10) == "xxxxxxxxxx...");
}

TEST_CASE("json_quote is valid JSON for any bytes") {
  CHECK(json_quote("a\"b\\c\n\x01") == "\"a\\\"b\\\\c\\n\\u0001\"");
  CHECK(json_quote("\xff") == "\"\\ufffd\"");
}

TEST_CASE("nearest finds a typing error and nothing far-fetched") {
  const std::array<std::string, 3> keys{"registration", "discovery", "metrics"};
  CHECK(nearest("regstration", keys) == "registration");
  CHECK(nearest("zzzzzz", keys).empty());
}
