// docs/sparkplug.md against the code: each statement's test is there, each default metric is in the table.
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "agent/base/text.hpp"
#include "agent/telemetry/metric_selector.hpp"
#include "agent/telemetry/report.hpp"
#include "agent/telemetry/sparkplug_control.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;

namespace {

const std::filesystem::path kSource = std::filesystem::path(OMNITIDE_FIXTURES).parent_path().parent_path();

std::string text_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  REQUIRE(in.good());
  return out.str();
}

// The names of all test cases, and all sources of tests in other languages.
std::string tests() {
  std::string out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kSource / "tests")) {
    const std::string name = entry.path().filename();
    if (name.ends_with("_test.cpp") || name.ends_with("_test.sh")) out += text_of(entry.path());
  }
  return out;
}

struct Row {
  std::string id, test;
};

// Rows "| `id` | words | test |" behind "## Checklist".
std::vector<Row> statements(const std::string& doc) {
  std::vector<Row> out;
  std::istringstream lines(doc.substr(doc.find("\n## Checklist\n")));
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const std::vector<std::string_view> cells = split(line, '|');
    REQUIRE(cells.size() == 5);
    const std::string_view id = trim(cells[1]);
    out.push_back({std::string(id.substr(1, id.size() - 2)), std::string(trim(cells[3]))});
  }
  return out;
}

}  // namespace

TEST_CASE("checklist: each statement of an edge node is there once, and its test exists") {
  const std::string doc = text_of(kSource / "docs/sparkplug.md");
  const std::string sources = tests();
  std::set<std::string> seen;
  const std::vector<Row> rows = statements(doc);
  for (const Row& row : rows) {
    INFO(row.id);
    CHECK(seen.insert(row.id).second);
    CHECK_FALSE(row.test.empty());
    INFO("no test is called: " << row.test);
    CHECK((sources.find("TEST_CASE(\"" + row.test + "\"") != std::string::npos ||
           sources.find("promise \"" + row.test + "\"") != std::string::npos));
  }
  CHECK(rows.size() == 164);  // of the specification 3.0.0
}

TEST_CASE("docs: every default metric, exclusion, dead band and command of the code is in docs/sparkplug.md") {
  const std::string doc = text_of(kSource / "docs/sparkplug.md");
  const auto told = [&doc](const std::string& text) { return doc.find("`" + text + "`") != std::string::npos; };
  const telemetry::MetricSelection selection = telemetry::default_selection();
  for (const auto* const list : {&selection.include, &selection.exclude, &selection.no_device})
    for (const std::string& glob : *list) {
      INFO(glob);
      CHECK(told(glob));
    }
  for (const auto& [glob, band] : telemetry::default_dead_bands())
    CHECK(doc.find("`" + glob + "` " + band) != std::string::npos);
  for (const telemetry::ControlMetric& control : telemetry::kControls) {
    CHECK(told(std::string(control.name)));
    CHECK((control.alias == 0 || told(std::string(control.command))));
  }
}
