// The plugin in a runtime's folders.
#include "agent/daemon/cni_install.hpp"

#include <sys/stat.h>

#include <filesystem>

#include "agent/base/file.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
namespace fs = std::filesystem;

namespace {

const std::string kList =
    "{\n  \"cniVersion\": \"1.0.0\",\n  \"name\": \"n\",\n  \"plugins\": [\n    {\"type\":\"ptp\"}\n  ]\n}\n";
const cni::Settings kSettings{.socket = "/s", .pins = "/p"};

struct Runtime {
  Runtime() {
    tree.file("bin/ptp", "");
    tree.file("agent/omnitide-cni", "program");
    tree.file("net.d/10-first.conflist", kList);
  }
  [[nodiscard]] CniFolders folders() const {
    return {.lists = path("net.d"), .programs = path("bin"), .plugin = path("agent/omnitide-cni")};
  }
  [[nodiscard]] std::string path(const std::string& name) const { return tree.path() + "/" + name; }
  [[nodiscard]] std::string text(const std::string& name) const { return read_file(path(name)).value(); }
  [[nodiscard]] bool has_plugin() const { return fs::exists(path("bin/omnitide-cni")); }
  [[nodiscard]] std::string reason() const {
    const Result<CniInstalled> done = install_cni(folders(), kSettings);
    return done ? "" : done.error().text();
  }
  test::TempTree tree;
};

}  // namespace

TEST_CASE("the first list by name is chained, and all is as before when it is taken out") {
  Runtime runtime;
  runtime.tree.file("net.d/05-notes.txt", "{");
  runtime.tree.file("net.d/20-second.conflist", kList);
  const Result<CniInstalled> done = install_cni(runtime.folders(), kSettings);
  REQUIRE(done);
  CHECK(done->changed);
  CHECK(done->list == runtime.path("net.d/10-first.conflist"));
  CHECK(runtime.text("net.d/10-first.conflist").find("omnitide-cni") != std::string::npos);
  CHECK(runtime.text("net.d/20-second.conflist") == kList);
  CHECK(runtime.text("bin/omnitide-cni") == "program");
  CHECK((fs::status(runtime.path("bin/omnitide-cni")).permissions() & fs::perms::all) == fs::perms(0755));
  CHECK_FALSE(install_cni(runtime.folders(), kSettings)->changed);
  CHECK(remove_cni(runtime.folders()).value());
  CHECK(runtime.text("net.d/10-first.conflist") == kList);
  CHECK_FALSE(runtime.has_plugin());
  CHECK_FALSE(remove_cni(runtime.folders()).value());
}

TEST_CASE("a list that comes in front, and one that was rewritten, are chained") {
  Runtime runtime;
  REQUIRE(install_cni(runtime.folders(), kSettings));
  runtime.tree.file("net.d/05-new.conflist", kList);
  CHECK(install_cni(runtime.folders(), kSettings)->list == runtime.path("net.d/05-new.conflist"));
  runtime.tree.file("net.d/05-new.conflist", kList);
  CHECK(install_cni(runtime.folders(), kSettings)->changed);
  CHECK(remove_cni(runtime.folders()).value());
  CHECK(runtime.text("net.d/05-new.conflist") == kList);
  CHECK(runtime.text("net.d/10-first.conflist") == kList);
}

TEST_CASE("a new version of the plugin takes the place of the old one") {
  Runtime runtime;
  REQUIRE(install_cni(runtime.folders(), kSettings));
  runtime.tree.file("agent/omnitide-cni", "newer");
  CHECK_FALSE(install_cni(runtime.folders(), kSettings)->changed);
  CHECK(runtime.text("bin/omnitide-cni") == "newer");
}

TEST_CASE("the list keeps its mode") {
  Runtime runtime;
  REQUIRE(::chmod(runtime.path("net.d/10-first.conflist").c_str(), 0600) == 0);
  REQUIRE(install_cni(runtime.folders(), kSettings));
  CHECK((fs::status(runtime.path("net.d/10-first.conflist")).permissions() & fs::perms::all) == fs::perms(0600));
}

TEST_CASE("what cannot be chained to stays as it is, with a reason") {
  Runtime runtime;
  SECTION("a single plugin") {
    runtime.tree.file("net.d/05-one.conf", R"({"cniVersion":"1.0.0","name":"n","type":"ptp"})");
    CHECK(runtime.reason().find("is of a single plugin") != std::string::npos);
  }
  SECTION("half a list") {
    runtime.tree.file("net.d/10-first.conflist", kList.substr(0, 40));
    CHECK(runtime.reason().find("is no JSON") != std::string::npos);
  }
  SECTION("plugins that are elsewhere") {
    fs::remove(runtime.path("bin/ptp"));
    CHECK(runtime.reason().find("names the plugin ptp, which is not in") != std::string::npos);
  }
  SECTION("a link") {
    fs::rename(runtime.path("net.d/10-first.conflist"), runtime.path("real"));
    fs::create_symlink(runtime.path("real"), runtime.path("net.d/10-first.conflist"));
    CHECK(runtime.reason().find("no file but a link") != std::string::npos);
    CHECK(runtime.text("real") == kList);
  }
  SECTION("no list") {
    fs::remove(runtime.path("net.d/10-first.conflist"));
    CHECK(install_cni(runtime.folders(), kSettings).error().code == Code::not_found);
  }
  SECTION("no folder") {
    fs::remove_all(runtime.path("net.d"));
    CHECK(install_cni(runtime.folders(), kSettings).error().code == Code::not_found);
  }
  CHECK_FALSE(runtime.has_plugin());
}

TEST_CASE("the plugin stays while anything names it") {
  Runtime runtime;
  REQUIRE(install_cni(runtime.folders(), kSettings));
  runtime.tree.file("net.d/10-first.conflist.saved", runtime.text("net.d/10-first.conflist"));
  const Result<bool> removed = remove_cni(runtime.folders());
  REQUIRE(removed.has_error());
  CHECK(removed.error().message.find("10-first.conflist.saved names omnitide-cni still") != std::string::npos);
  CHECK(runtime.text("net.d/10-first.conflist") == kList);
  CHECK(runtime.has_plugin());
}
