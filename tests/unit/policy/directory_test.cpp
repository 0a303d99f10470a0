#include "agent/policy/directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

namespace {

std::string space(std::string_view name) {
  return fmt::format("---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n", name);
}

// A directory, its reader and a store. Time is what the test says, in relation to the files' real times.
class Site {
 public:
  explicit Site(DirectoryLimits limits = {}) : directory_(tree_.path(), 0, limits) {}
  Site& file(std::string_view name, std::string_view text) {
    tree_.file(name, text);
    return *this;
  }
  TempTree& tree() { return tree_; }
  // Reads at a moment that lies so far behind the last write.
  Directory::Reading read(std::chrono::milliseconds later = 1h) {
    Directory::Reading reading = directory_.read(wall_now() + later);
    std::vector<SourceUpdate> updates = std::move(reading.updates);
    reading.updates.clear();
    updated_ = updates.size();
    (void)store_.apply(std::move(updates));
    return reading;
  }
  [[nodiscard]] Texts held() const {
    Texts out;
    for (const ObjectRef& object : store_.objects())
      out.push_back(key_of(*object).name);
    return out;
  }
  // The faults of a reading, without the directory's name.
  [[nodiscard]] Texts told(const Directory::Reading& reading) const {
    Texts out;
    for (const Fault& fault : reading.faults) {
      std::string text = fault.text();
      const std::string path = tree_.path();
      for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path))
        text.replace(at, path.size(), "D");
      out.push_back(std::move(text));
    }
    return out;
  }
  [[nodiscard]] std::size_t updated() const { return updated_; }
  Store& store() { return store_; }

 private:
  TempTree tree_;
  Directory directory_;
  Store store_;
  std::size_t updated_ = 0;
};

}  // namespace

TEST_CASE("yaml, yml and json files are read; folders, dot files, back-ups and others are not") {
  Site site;
  site.file("a.yaml", space("a"))
      .file("b.yml", space("b"))
      .file("c.json", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}})");
  for (const char* name : {".d.yaml", ".#d.yaml", "#d.yaml", "#d.yaml#", "d.yaml~", "d.yaml.swp", "d.yaml.bak", "d.txt",
                           "d", "sub/d.yaml", "..2026_01/d.yaml"})
    site.file(name, space("d"));
  const auto reading = site.read();
  CHECK(site.held() == Texts{"a", "b", "c"});
  CHECK(reading.parsed == 3);
  CHECK(site.told(reading) == Texts{});
  CHECK(origin_of(*site.store().objects()[0]).file == site.tree().path() + "/a.yaml");
}

TEST_CASE("one changed file costs one parse") {
  Site site;
  site.file("a.yaml", space("a")).file("b.yaml", space("b"));
  CHECK(site.read().parsed == 2);
  CHECK(site.read().parsed == 0);
  site.file("b.yaml", space("c"));
  CHECK(site.read().parsed == 1);
  CHECK(site.held() == Texts{"a", "c"});
  // Touched and written anew, with the same bytes: nothing to parse.
  site.file("b.yaml", space("c"));
  CHECK(site.read().parsed == 0);
}

TEST_CASE("a write within one step of the file system's clock is not missed") {
  Site site;
  site.file("a.yaml", space("a"));
  CHECK(site.read(0ms).parsed == 1);
  struct stat before {};
  REQUIRE(::stat((site.tree().path() + "/a.yaml").c_str(), &before) == 0);
  // Same size, same inode, and the same times.
  const UniqueFd fd(::open((site.tree().path() + "/a.yaml").c_str(), O_WRONLY | O_CLOEXEC));
  const std::string text = space("b");
  REQUIRE(::pwrite(fd.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(::futimens(fd.get(), times) == 0);
  CHECK(site.read(0ms).parsed == 1);
  CHECK(site.held() == Texts{"b"});
}

TEST_CASE("a file that is half written keeps its last good content") {
  Site site;
  site.file("a.yaml", space("a") + space("b"));
  (void)site.read();
  site.file("a.yaml", space("x") + "---\napiVersion: v1\nkind: {Namesp");
  (void)site.read();
  CHECK(site.held() == Texts{"a", "b"});
  CHECK(site.store().faults().size() == 2);
  site.file("a.yaml", space("x"));
  (void)site.read();
  CHECK(site.held() == Texts{"x"});
  CHECK(site.store().faults().empty());
}

TEST_CASE("a file that was emptied a moment ago keeps its last good content for that moment") {
  Site site;
  site.file("a.yaml", space("a"));
  (void)site.read();
  site.file("a.yaml", "\n");
  const auto soon = site.read(0ms);
  CHECK(site.held() == Texts{"a"});
  CHECK(site.told(soon) == Texts{"D/a.yaml: was emptied a moment ago; its last good content holds"});
  REQUIRE(soon.again_after);
  CHECK(*soon.again_after <= 200ms);
  const auto later = site.read(300ms);
  CHECK(site.held() == Texts{});
  CHECK(later.faults.empty());
  CHECK_FALSE(later.again_after);
  // One that never had anything is just empty.
  site.file("b.yaml", "");
  CHECK(site.read(0ms).faults.empty());
}

TEST_CASE("a file that vanished holds for a moment, then its objects go") {
  Site site;
  site.file("a.yaml", space("a")).file("b.yaml", space("b"));
  (void)site.read();
  site.tree().remove("a.yaml");
  const auto soon = site.read();
  CHECK(site.held() == Texts{"a", "b"});
  CHECK(site.told(soon) == Texts{"D/a.yaml: vanished a moment ago; its last good content holds"});
  CHECK(soon.again_after == 200ms);
  const auto later = site.read(1h + 250ms);
  CHECK(site.held() == Texts{"b"});
  CHECK(later.faults.empty());
  // An editor's way: away, and back with something else.
  site.tree().remove("b.yaml");
  (void)site.read();
  site.file("b.yaml", space("c"));
  CHECK(site.read().faults.empty());
  CHECK(site.held() == Texts{"c"});
}

TEST_CASE("an object that moves between files is there all the time") {
  Site site;
  site.file("a.yaml", space("a"));
  (void)site.read();
  site.tree().remove("a.yaml");
  site.file("b.yaml", space("a"));
  (void)site.read();
  CHECK(site.held() == Texts{"a"});
  (void)site.read(1h + 300ms);
  CHECK(site.held() == Texts{"a"});
  CHECK(origin_of(*site.store().objects()[0]).file.ends_with("/b.yaml"));
  CHECK(site.store().faults().empty());
}

TEST_CASE("what cannot be read is told, and its last good content holds") {
  Site site;
  site.file("a.yaml", space("a"));
  (void)site.read();
  site.tree().folder("a.yaml");
  site.tree().fifo("f.yaml");
  site.tree().link("gone.yaml", "nowhere.yaml");
  site.tree().link("out.yaml", "/etc/hostname");
  const auto reading = site.read();
  CHECK(site.held() == Texts{"a"});
  CHECK(
      site.told(reading) ==
      Texts{"D/a.yaml: is no regular file; its last good content holds", "D/f.yaml: is no regular file",
            "D/gone.yaml: cannot open /gone.yaml: No such file or directory (links must not lead out of the directory)",
            "D/out.yaml: cannot open /out.yaml: No such file or directory (links must not lead out of the directory)"});
}

TEST_CASE("links inside the directory are followed, as a mounted ConfigMap has them") {
  Site site;
  site.file("..2026_1/a.yaml", space("a"));
  site.tree().link("..data", "..2026_1");
  site.tree().link("a.yaml", "..data/a.yaml");
  (void)site.read();
  CHECK(site.held() == Texts{"a"});
  site.file("..2026_2/a.yaml", space("b"));
  site.tree().link("..data", "..2026_2");
  (void)site.read();
  CHECK(site.held() == Texts{"b"});
}

TEST_CASE("a directory that is not there or not readable keeps everything") {
  Site site;
  site.file("d/a.yaml", space("a"));
  Directory directory(site.tree().path() + "/d/", 3);
  auto reading = directory.read(wall_now() + 1h);
  REQUIRE(reading.updates.size() == 1);
  CHECK(reading.updates[0].source == Source{3, site.tree().path() + "/d/a.yaml"});
  site.tree().remove("d");
  reading = directory.read(wall_now() + 2h);
  CHECK(reading.updates.empty());
  CHECK(site.told(reading) ==
        Texts{"D/d: cannot open the root D/d: No such file or directory; what its files said last holds"});
  site.file("d/b.yaml", space("b"));
  reading = directory.read(wall_now() + 3h);
  CHECK(reading.updates.size() == 1);  // a.yaml holds for its moment
  CHECK(directory.read(wall_now() + 4h).updates.size() == 1);
}

TEST_CASE("the number of files and their sizes are bounded") {
  DirectoryLimits limits;
  limits.parse.bytes = 1000;
  limits.bytes = 1500;
  limits.files = 3;
  Site site(limits);
  site.file("a.yaml", space("a")).file("b.yaml", space("b") + std::string(900, '#'));
  site.tree().huge("c.yaml", 1ULL << 40U);
  CHECK(site.told(site.read()) == Texts{"D/c.yaml: is longer than 1000 B"});
  site.tree().remove("c.yaml");
  site.file("d.yaml", std::string(700, '#') + "\n" + space("d"));
  CHECK(site.told(site.read()) == Texts{"D/d.yaml: is too much: the files have more than 1.5 KiB together"});
  CHECK(site.held() == Texts{"a", "b"});
  site.file("b.yaml", space("b"));
  CHECK(site.told(site.read()) == Texts{});
  CHECK(site.held() == Texts{"a", "b", "d"});
  site.file("e.yaml", space("e"));
  CHECK(site.told(site.read()) == Texts{"D: has more than 3 policy files; what its files said last holds"});
  CHECK(site.held() == Texts{"a", "b", "d"});
}

TEST_CASE("a directory or one file is loaded for a command") {
  Site site;
  site.file("a.yaml", space("a")).file("b.yaml", "kind: Pod\n");
  const auto all = load_objects(site.tree().path(), wall_now());
  REQUIRE(all);
  CHECK(all->store.size() == 1);
  CHECK(all->store.faults().size() == 1);
  const auto one = load_objects(site.tree().path() + "/a.yaml", wall_now());
  REQUIRE(one);
  CHECK(one->store.size() == 1);
  CHECK(load_objects(site.tree().path() + "/z", wall_now()).error().code == Code::not_found);
}
