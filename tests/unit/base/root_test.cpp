#include "agent/base/root.hpp"

#include <string>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using omnitide::test::TempTree;

TEST_CASE("a root sees files, folders, FIFOs and links that exist, and none that do not") {
  TempTree tree;
  tree.file("sys/a", "one\ntwo\n").folder("sys/f").fifo("sys/p").link("sys/l", "a").link("sys/gone", "nowhere");
  const Root root = tree.root();
  CHECK(root.exists("/sys/a"));
  CHECK(root.exists("/sys/f"));
  CHECK(root.exists("/sys/p"));
  CHECK(root.exists("/sys/l"));
  CHECK_FALSE(root.exists("/sys/gone"));
  CHECK_FALSE(root.exists("/sys/b"));
  CHECK(root.link_target("/sys/l") == "a");
  CHECK(root.link_name("/sys/gone") == "nowhere");
  CHECK(root.link_target("/sys/a").empty());
  CHECK(root.resolve("/sys/l") == "/sys/a");
  CHECK(root.attribute("/sys/l") == "one");
}

TEST_CASE("no link leads out of a root, and a loop of links is an error") {
  TempTree tree;
  tree.file("etc/hostname", "inside\n").link("abs", "/etc/hostname").link("up", "../../../../etc/hostname");
  tree.link("loop/a", "b").link("loop/b", "a");
  const Root root = tree.root();
  CHECK(root.attribute("/abs") == "inside");
  CHECK(root.attribute("/up") == "inside");
  CHECK(root.read("/loop/a").has_error());
}

TEST_CASE("a read is bounded and takes regular files only, without waiting") {
  TempTree tree;
  tree.file("ten", "0123456789").folder("folder").fifo("pipe");
  const Root root = tree.root();
  CHECK(root.read("/ten", 10).value() == "0123456789");
  CHECK(root.read("/ten", 9).error().code == Code::resource_exhausted);
  CHECK(root.read("/folder").error().code == Code::invalid_argument);
  CHECK(root.read("/pipe").error().code == Code::invalid_argument);
  CHECK(root.read("/none").error().code == Code::not_found);
}
