#include "agent/daemon/kubernetes_journal.hpp"

#include <filesystem>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
using omnitide::test::TempTree;

namespace {

std::vector<std::pair<std::string, std::string>> held(const std::string& path) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto objects = KubernetesJournal(path).load();
  REQUIRE(objects.has_value());
  for (const PolicyText& each : *objects)
    out.emplace_back(each.source, each.text);
  return out;
}

using Held = std::vector<std::pair<std::string, std::string>>;

}  // namespace

TEST_CASE("the last word about each object is there at the next start") {
  TempTree tree;
  const std::string path = tree.path() + "/objects";
  KubernetesJournal journal(path);
  CHECK(held(path).empty());
  REQUIRE(journal.append({{"kubernetes:Pod/a/x", "{1}"}, {"kubernetes:Pod/a/y", "{2}"}}));
  REQUIRE(journal.append({{"kubernetes:Pod/a/x", "{3}"}, {"kubernetes:Pod/a/y", ""}, {"kubernetes:Node/n", "{4}"}}));
  const Held expected{{"kubernetes:Node/n", "{4}"}, {"kubernetes:Pod/a/x", "{3}"}};
  CHECK(held(path) == expected);
  CHECK(held(path) == expected);  // after it was written anew
}

TEST_CASE("a line that a kill cut short counts as not written, and costs no other") {
  TempTree tree;
  const std::string path = tree.path() + "/objects";
  REQUIRE(KubernetesJournal(path).append({{"kubernetes:Pod/a/x", "{1}"}, {"kubernetes:Pod/a/x", "{22222}"}}));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  CHECK(held(path) == Held{{"kubernetes:Pod/a/x", "{1}"}});
  REQUIRE(KubernetesJournal(path).append({{"kubernetes:Pod/a/y", "{3}"}}));
  CHECK(held(path) == Held{{"kubernetes:Pod/a/x", "{1}"}, {"kubernetes:Pod/a/y", "{3}"}});
}

TEST_CASE("a long history of few objects does not grow without bound") {
  TempTree tree;
  const std::string path = tree.path() + "/objects";
  KubernetesJournal journal(path);
  const std::string text(10'000, 'x');
  for (int i = 0; i < 1000; ++i)
    REQUIRE(journal.append({{"kubernetes:Pod/a/x", text}}));
  CHECK(std::filesystem::file_size(path) < 2'000'000);
  CHECK(held(path) == Held{{"kubernetes:Pod/a/x", text}});
}
