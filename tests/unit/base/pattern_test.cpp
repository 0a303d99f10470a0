#include "agent/base/pattern.hpp"

#include "tests/harness/catch.hpp"

using omnitide::Pattern;

namespace {
bool matches(std::string_view pattern, const std::string& text) {
  const auto compiled = Pattern::compile(pattern);
  INFO(pattern);
  REQUIRE(compiled);
  return compiled->matches(text);
}
}  // namespace

TEST_CASE("patterns match somewhere in the text, as node_exporter's do") {
  CHECK(matches("eth", "veth12"));
  CHECK_FALSE(matches("^eth", "veth12"));
  CHECK(matches("^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$", "sda1"));
  CHECK(matches("^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$", "nvme0n1p2"));
  CHECK_FALSE(matches("^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$", "nvme0n1"));
  CHECK(matches("^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+)($|/)", "/run/user/1000"));
  CHECK_FALSE(matches("^/(dev|proc|run|sys|mnt|media|var/lib/docker/.+)($|/)", "/runner"));
  CHECK(matches(".+\\.(automount|device)", "a.device"));
  CHECK(matches("^$", ""));
  CHECK_FALSE(matches("^$", "a"));
}

TEST_CASE("what Go's expressions have and POSIX' have not is put into other words") {
  CHECK(matches("^(?:a|b)\\d$", "b7"));
  CHECK(matches("^\\w+\\s\\S+$", "ab_1 x"));
  CHECK(matches("^[\\d.]+$", "1.2"));
  CHECK(matches("^[\\w\\-]+$", "a-b_c"));
  CHECK(matches("^[^\\d]$", "x"));
  CHECK_FALSE(matches("^[^\\d]$", "3"));
  CHECK(matches("^[]a]+$", "]a"));
  CHECK(matches("(?i)^ETH\\d", "eth0"));
  CHECK(matches("a\\.b\\$", "a.b$"));
}

TEST_CASE("an expression that cannot be understood is refused with its part named") {
  for (const char* text : {"(", "[", "[a", "a\\", "*a**(", "(?P<name>x)", "(?=x)", "\\pL", "\\1", "[\\]x]"}) {
    INFO(text);
    const auto compiled = Pattern::compile(text);
    REQUIRE(compiled.has_error());
    CHECK(compiled.error().code == omnitide::Code::invalid_argument);
  }
  CHECK(Pattern::compile("(?=x)").error().message.find("(?=x") != std::string::npos);
  CHECK(Pattern::compile(std::string(2000, 'a')).has_error());
  CHECK(Pattern::compile(std::string_view("a\0b", 3)).has_error());
}

TEST_CASE("an empty pattern and a text with a NUL match nothing") {
  CHECK_FALSE(matches("", "a"));
  CHECK(Pattern::compile("")->empty());
  CHECK_FALSE(matches(".*", std::string("a\0b", 3)));
}
