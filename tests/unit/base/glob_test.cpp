#include "agent/base/glob.hpp"

#include <string>

#include "tests/harness/catch.hpp"

using omnitide::glob_matches;

TEST_CASE("glob: stands for a whole text") {
  CHECK(glob_matches("", ""));
  CHECK_FALSE(glob_matches("", "a"));
  CHECK(glob_matches("abc", "abc"));
  CHECK_FALSE(glob_matches("abc", "abcd"));
  CHECK(glob_matches("a*c", "ac"));
  CHECK(glob_matches("a*c", "abcbc"));
  CHECK_FALSE(glob_matches("a*c", "abcb"));
  CHECK(glob_matches("*", ""));
  CHECK(glob_matches("**a**", "bab"));
  CHECK(glob_matches("a?c", "a*c"));
  CHECK_FALSE(glob_matches("a?", "a"));
  CHECK(glob_matches("x/*/device=sd?", "x/a=b/device=sda"));
}

TEST_CASE("glob: a pattern made to be slow is not") {
  const std::string text(20'000, 'a');
  CHECK_FALSE(glob_matches("*a*a*a*a*a*a*a*a*a*a*b", text));
}
