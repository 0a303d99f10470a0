// Libraries that are opened by their names when they are needed.
#include "agent/base/shared_library.hpp"

#include "tests/harness/catch.hpp"

using omnitide::SharedLibrary;

TEST_CASE("a function is found by its name, and one that is not there makes the library no good") {
  SharedLibrary library("libc.so.6");
  int (*absolute)(int) = nullptr;
  library.find("abs", absolute);
  REQUIRE(library.good());
  CHECK(absolute(-3) == 3);
  CHECK(library.problem().empty());
  library.find("no_such_function_of_libc", absolute);
  CHECK_FALSE(library.good());
  CHECK(absolute == nullptr);
  CHECK(library.problem().find("no_such_function_of_libc") != std::string::npos);
}

TEST_CASE("a library that is not there says so") {
  SharedLibrary library("libomnitide-none.so.0");
  int (*absolute)(int) = nullptr;
  library.find("abs", absolute);
  CHECK_FALSE(library.good());
  CHECK(absolute == nullptr);
  CHECK(library.problem().find("libomnitide-none.so.0") != std::string::npos);
}
