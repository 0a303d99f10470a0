#include "agent/daemon/kubernetes_journal.hpp"

#include <filesystem>
#include <fstream>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

using namespace omnitide;
using namespace omnitide::daemon;
using omnitide::test::TempTree;

namespace {

constexpr const char* kCluster = "https://10.96.0.1:443";

PolicyTexts held(const std::string& path, const std::string& cluster = kCluster) {
  const Result<PolicyTexts> objects = KubernetesJournal(path, cluster).load();
  REQUIRE(objects.has_value());
  return *objects;
}

}  // namespace

TEST_CASE("the last word about each object is there at the next start, of the same cluster alone") {
  TempTree tree;
  const std::string path = tree.path() + "/objects";
  KubernetesJournal journal(path, kCluster);
  CHECK(held(path).empty());
  CHECK(journal.append({{"kubernetes:Pod/a/x", "{1}"}}).has_error());  // no whole state to add to
  REQUIRE(journal.replace({{"kubernetes:Pod/a/x", "{1}"}, {"kubernetes:Pod/a/y", "{2}"}}));
  REQUIRE(journal.append({{"kubernetes:Pod/a/x", "{3}"}, {"kubernetes:Pod/a/y", ""}, {"kubernetes:Node/n", "{4}"}}));
  CHECK(held(path) == PolicyTexts{{"kubernetes:Node/n", "{4}"}, {"kubernetes:Pod/a/x", "{3}"}});
  CHECK(held(path, "https://10.96.0.1:443 of another authority").empty());
  REQUIRE(journal.replace({{"kubernetes:Node/m", "{5}"}}));
  CHECK(held(path) == PolicyTexts{{"kubernetes:Node/m", "{5}"}});
}

TEST_CASE("a line that was cut short at any byte counts as not written, and costs no other") {
  TempTree tree;
  const std::string path = tree.path() + "/objects", cut = tree.path() + "/cut";
  KubernetesJournal journal(path, kCluster);
  REQUIRE(journal.replace({{"kubernetes:Pod/a/x", "{1}"}}));
  const auto before = std::filesystem::file_size(path);
  REQUIRE(journal.append({{"kubernetes:Pod/a/x", ""}}));
  const auto after = std::filesystem::file_size(path);
  for (auto size = before; size < after - 1; ++size) {  // but for the end of the line
    INFO(size);
    std::filesystem::copy_file(path, cut, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(cut, size);
    CHECK(held(cut) == PolicyTexts{{"kubernetes:Pod/a/x", "{1}"}});
    KubernetesJournal again(cut, kCluster);
    REQUIRE(again.load().has_value());
    REQUIRE(again.append({{"kubernetes:Pod/a/y", "{3}"}}));
    CHECK(held(cut) == PolicyTexts{{"kubernetes:Pod/a/x", "{1}"}, {"kubernetes:Pod/a/y", "{3}"}});
  }
  CHECK(held(path).empty());
}

TEST_CASE("a long history of few objects does not grow without bound") {
  TempTree tree;
  const std::string path = tree.path() + "/objects";
  KubernetesJournal journal(path, kCluster);
  const std::string text(10'000, 'x');
  REQUIRE(journal.replace({{"kubernetes:Pod/a/x", "{1}"}}));
  for (int i = 0; i < 1000; ++i)
    REQUIRE(journal.append({{"kubernetes:Pod/a/x", text}}));
  CHECK(std::filesystem::file_size(path) < 2'000'000);
  CHECK(held(path) == PolicyTexts{{"kubernetes:Pod/a/x", text}});
}
