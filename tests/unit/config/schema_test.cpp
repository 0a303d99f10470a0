// What is generated from the table of keys.
#include "agent/config/schema.hpp"

#include <set>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/config/load.hpp"
#include "agent/config/reload.hpp"
#include "agent/config/render.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::config {
namespace {

std::string uncommented(std::string_view text) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("#  ") || (line.starts_with('#') && line.ends_with(':') && !line.starts_with("# "))) {
      out += line.substr(1);
      out += '\n';
    }
  }
  return out;
}

std::string source_file(std::string_view name) {
  constexpr std::string_view kFixtures = OMNITIDE_FIXTURES, kBelow = "tests/fixtures";
  const Result<std::string> text =
      read_file(std::string(kFixtures.substr(0, kFixtures.size() - kBelow.size())) + std::string(name));
  return text.has_value() ? *text : text.error().text();
}

}  // namespace

TEST_CASE("each key has a section, a help text and an environment variable of its own") {
  std::set<std::string> variables;
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    CHECK(is_section(key.path.substr(0, key.path.find('.'))));
    CHECK_FALSE(key.help.empty());
    CHECK_FALSE(key.type.empty());
    CHECK(variables.insert(environment_name(key)).second);
  }
}

TEST_CASE("the setter of each key takes back what its getter shows") {
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    const Value shown = key.get(Config{});
    Config config;
    Problems problems;
    key.set(config, shown, problems);
    CHECK(problems.empty());
    CHECK(key.get(config).same(shown));
  }
}

TEST_CASE("the shipped file is comments only, and each of its examples is valid") {
  const std::string text = shipped_file();
  for (const std::string_view line : split(text, '\n'))
    CHECK((line.empty() || line.starts_with('#')));
  const Document document = parse_document(uncommented(text));
  REQUIRE(document.problems.empty());
  std::size_t seen = 0;
  for (const Entry& section : document.root.entries) {
    for (const Entry& entry : section.value.entries) {
      const Key* key = find_key(section.key + "." + entry.key);
      CAPTURE(section.key, entry.key);
      REQUIRE(key != nullptr);
      Config config;
      Problems problems;
      key->set(config, entry.value, problems);
      CHECK(problems.empty());
      ++seen;
    }
  }
  CHECK(seen == keys().size());
}

TEST_CASE("the shown configuration is itself a valid one with the same values") {
  LoadOptions options;
  options.directory = "/nonexistent";
  options.hostname = "press-7";
  options.environment = {{"OMNITIDE_NODE_LABELS", "{example.org/a.b: \"1\", on: \"off\"}"},
                         {"OMNITIDE_LOG_LEVELS", "{http: debug}"},
                         {"OMNITIDE_DISCOVERY_EXCLUDE_SOURCES", "[cpu, usb]"}};
  const Loaded loaded = load(options);
  REQUIRE(loaded.valid());
  const Document document = parse_document(show_yaml(loaded));
  REQUIRE(document.problems.empty());
  Config config;
  Problems problems;
  for (const Entry& section : document.root.entries) {
    for (const Entry& entry : section.value.entries)
      find_key(section.key + "." + entry.key)->set(config, entry.value, problems);
  }
  CHECK(problems.empty());
  for (const Key& key : keys()) {
    CAPTURE(key.path);
    CHECK(key.get(config).same(key.get(loaded.config)));
  }
}

TEST_CASE("docs/config.md is what the table gives") { CHECK(source_file("docs/config.md") == documentation()); }

TEST_CASE("packaging/agent.yaml is what the table gives") {
  CHECK(source_file("packaging/agent.yaml") == shipped_file());
}

TEST_CASE("a reload says what it changes and what it cannot") {
  Config running, next;
  next.node.labels["site"] = "b";
  next.log.levels.at(0) = log::Level::debug;
  next.http.listen = "127.0.0.1:1";
  const ReloadDiff diff = reload_diff(running, next);
  CHECK(diff.applied == std::vector<std::string>{"node.labels", "log.levels"});
  CHECK(diff.needs_restart == std::vector<std::string>{"http.listen"});
  const Config after = after_reload(running, next);
  CHECK(after.node.labels == next.node.labels);
  CHECK(after.log.levels == next.log.levels);
  CHECK(after.http.listen == running.http.listen);
  CHECK(reload_diff(running, running).applied.empty());
}

TEST_CASE("hints find keys that are mistyped or in the wrong section") {
  CHECK(unknown_key_hint("http.lisen") == "did you mean http.listen?");
  CHECK(unknown_key_hint("registry.endpoint") == "did you mean registration.endpoint?");
  CHECK(unknown_key_hint("metrics.zzzzzzzzzz") == "metrics has enabled, collectors.*, ebpf.*");
  CHECK(unknown_key_hint("zzzzzzzzzzzz") ==
        "known are node, paths, registration, discovery, http, metrics, kubernetes, policy, telemetry, health, "
        "registry, log");
}

}  // namespace omnitide::config
