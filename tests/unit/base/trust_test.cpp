// Files that only root may change: who may write the file, the folders and the links on the way to it.
#include "agent/base/trust.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide {
namespace {

constexpr uid_t kSomebody = 65534;

// A folder of root's with a program; without root it is the caller's, which is refused as well.
struct Place {
  test::TempTree tree;
  std::string program = tree.path() + "/bin/check";
  Place() {
    tree.file("bin/check", "#!/bin/sh\n");
    REQUIRE(::chmod(program.c_str(), 0755) == 0);
  }
  [[nodiscard]] std::string refusal(const std::string& path) const {
    const Result<> trusted = only_root_writes(path);
    return trusted.has_error() ? trusted.error().text() : "";
  }
};

}  // namespace

TEST_CASE("a program of the system is root's alone, also behind links") {
  CHECK(only_root_writes("/bin/sh"));  // /bin -> usr/bin, sh -> dash
  CHECK(only_root_writes("/usr/../bin/./sh"));
  CHECK(only_root_writes("bin/sh").error().code == Code::invalid_argument);
  CHECK(only_root_writes("/nonexistent/sh").error().code == Code::not_found);
  CHECK(only_root_writes("/usr/bin").error().code == Code::invalid_argument);
}

TEST_CASE("what somebody else owns or may write is refused, with what would be right") {
  Place place;
  if (::getuid() != 0) {
    CHECK(only_root_writes(place.program).error().code == Code::permission_denied);
    return;
  }
  REQUIRE(place.refusal(place.program).empty());  // /tmp is sticky

  REQUIRE(::chmod(place.program.c_str(), 0775) == 0);
  CHECK(place.refusal(place.program) ==
        place.program + " may be written by others than root (chmod go-w " + place.program + ")");
  REQUIRE(::chmod(place.program.c_str(), 0755) == 0);
  REQUIRE(::chown(place.program.c_str(), kSomebody, 0) == 0);
  CHECK(place.refusal(place.program) ==
        place.program + " belongs to user 65534, not to root (chown root " + place.program + ")");
  REQUIRE(::chown(place.program.c_str(), 0, 0) == 0);

  const std::string folder = place.tree.path() + "/bin";
  REQUIRE(::chmod(folder.c_str(), 0777) == 0);
  CHECK(place.refusal(place.program).find(folder + " may be written") == 0);
  REQUIRE(::chmod(folder.c_str(), 01777) == 0);
  CHECK(place.refusal(place.program).empty());
  REQUIRE(::chown(folder.c_str(), kSomebody, 0) == 0);
  CHECK(place.refusal(place.program).find(folder + " belongs to user") == 0);
}

TEST_CASE("a link is as good as each folder that it leads through") {
  Place place;
  if (::getuid() != 0) return;
  place.tree.folder("theirs").link("theirs/link", "../bin/check").link("first", "theirs/link");
  CHECK(place.refusal(place.tree.path() + "/first").empty());
  REQUIRE(::chown((place.tree.path() + "/theirs").c_str(), kSomebody, 0) == 0);
  CHECK(place.refusal(place.tree.path() + "/first").find("/theirs belongs to user") != std::string::npos);
  place.tree.link("loop", "loop");
  CHECK(place.refusal(place.tree.path() + "/loop").find("too many symbolic links") != std::string::npos);
}

}  // namespace omnitide
