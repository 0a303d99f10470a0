// What the command line accepts, and what it says when it does not.
#include "agent/cli/command.hpp"

#include <set>
#include <string_view>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/cli.hpp"
#include "agent/cli/commands.hpp"
#include "agent/cli/completion.hpp"
#include "agent/cli/manual.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::cli {
namespace {

struct Line {
  CommandTree::Parsed parsed;
  explicit Line(std::vector<const char*> words) {
    static const Callbacks callbacks{};
    Session session(callbacks);
    CommandTree tree("omnitide-agent", "test");
    Command root = tree.root();
    add_all(root, session);
    words.insert(words.begin(), "omnitide-agent");
    parsed = tree.parse(static_cast<int>(words.size()), words.data());
    runs = static_cast<bool>(parsed.action);
    parsed.action = nullptr;  // it speaks of the session, which ends here
  }
  bool runs = false;
};

void each(const Command& command, const std::function<void(const Command&)>& visit) {
  visit(command);
  for (const Command& child : command.children())
    each(child, visit);
}

std::string help_of(const std::string& path) {
  std::vector<std::string> words;
  for (const std::string_view word : split_words(path))
    words.emplace_back(word);
  std::vector<const char*> pointers;
  for (const std::string& word : words)
    pointers.push_back(word.c_str());
  pointers.push_back("--help");
  return Line(pointers).parsed.out;
}

}  // namespace

TEST_CASE("wrong words are named, with a hint, and exit with 2") {
  struct Row {
    std::vector<const char*> words;
    std::string error, hint;
  };
  const std::vector<Row> rows{
      {{"statsu"}, "there is no command \"statsu\"", "did you mean omnitide-agent status?"},
      {{"registry", "node"}, "there is no command \"node\"", "did you mean omnitide-agent registry nodes?"},
      {{"zzzzzzzzz"}, "there is no command \"zzzzzzzzz\"", "omnitide-agent --help"},
      {{}, "a command is missing", "omnitide-agent --help"},
      {{"registry"}, "a command is missing", "omnitide-agent registry --help"},
      {{"status", "-o", "xml"}, "--output: \"xml\" is not one of table, json, yaml", "omnitide-agent status --help"},
      {{"log-level", "http", "loud"},
       "LEVEL: \"loud\" is not one of debug, info, warning, error",
       "omnitide-agent log-level --help"},
      {{"log-level", "http", "debug", "--for", "10"},
       "--for: \"10\" is not a duration such as 90s, 10m, 2h or 7d",
       "omnitide-agent log-level --help"},
      {{"support"}, "--output is required", "omnitide-agent support --help"},
      {{"registry", "nodes", "show"}, "NODE is required", "omnitide-agent registry nodes show --help"},
      {{"registry", "tokens", "create", "--uses", "-1"},
       "--uses: \"-1\" is not a number",
       "omnitide-agent registry tokens create --help"},
  };
  for (const Row& row : rows) {
    const Line line(row.words);
    CAPTURE(row.error);
    CHECK_FALSE(line.runs);
    CHECK(line.parsed.exit_code == 2);
    CHECK(line.parsed.error == row.error);
    CHECK(line.parsed.hint == row.hint);
  }
}

TEST_CASE("what an argument holds cannot forge lines of the error") {
  const Line line({"status", "--\x1b[2Jx\nroot"});
  CHECK(line.parsed.exit_code == 2);
  CHECK(line.parsed.error.find('\x1b') == std::string::npos);
  CHECK(line.parsed.error.find('\n') == std::string::npos);
}

TEST_CASE("no command takes a token or another secret as an argument") {
  CommandTree tree("omnitide-agent", "test");
  const Callbacks callbacks{};
  Session session(callbacks);
  Command root = tree.root();
  add_all(root, session);
  each(root, [](const Command& command) {
    for (const Command::OptionView& view : command.views()) {
      for (const std::string& name : view.names) {
        CHECK(name != "--token");
        CHECK(name != "--password");
        CHECK(name != "--secret");
      }
    }
  });
}

TEST_CASE("every command's help has a sentence, its full name and an example") {
  CommandTree tree("omnitide-agent", "test");
  const Callbacks callbacks{};
  Session session(callbacks);
  Command root = tree.root();
  add_all(root, session);
  const std::function<void(const Command&, const std::string&)> walk = [&](const Command& command,
                                                                           const std::string& path) {
    CAPTURE(path);
    const std::string help = help_of(path);
    CHECK_FALSE(command.help().empty());
    CHECK(help.find("Usage: omnitide-agent" + path) != std::string::npos);
    const std::size_t example = help.find("Example:\n");
    REQUIRE(example != std::string::npos);
    CHECK(help.find("omnitide-agent" + path.substr(0, path.rfind(' ')), example) != std::string::npos);
    CHECK(help.ends_with('\n'));
    for (const Command& child : command.children())
      walk(child, path + " " + child.name());
  };
  for (const Command& child : root.children())
    walk(child, " " + child.name());
  CHECK(help_of("").find("Exit codes: 0 good, 1 a problem was found, 2 usage") != std::string::npos);
}

TEST_CASE("docs/cli.md names every command") {
  const std::string_view fixtures = OMNITIDE_FIXTURES;
  const Result<std::string> docs = read_file(
      std::string(fixtures.substr(0, fixtures.size() - std::string_view("tests/fixtures").size())) + "docs/cli.md");
  REQUIRE(docs.has_value());
  CommandTree tree("omnitide-agent", "test");
  const Callbacks callbacks{};
  Session session(callbacks);
  Command root = tree.root();
  add_all(root, session);
  const std::function<void(const Command&, const std::string&)> walk = [&](const Command& command,
                                                                           const std::string& path) {
    CAPTURE(path);
    CHECK(docs->find("`" + path + "`") != std::string::npos);
    for (const Command& child : command.children())
      walk(child, path + " " + child.name());
  };
  for (const Command& child : root.children())
    walk(child, child.name());
}

TEST_CASE("a sub-command wins over what its group does alone") {
  bool group_ran = false, child_ran = false;
  CommandTree tree("program", "test");
  Command group = tree.root().add("nodes", "group");
  group.action([&] {
    group_ran = true;
    return 0;
  });
  group.add("show", "child").action([&] {
    child_ran = true;
    return 7;
  });
  const std::array<const char*, 3> words{"program", "nodes", "show"};
  const CommandTree::Parsed parsed = tree.parse(3, words.data());
  REQUIRE(parsed.action);
  CHECK(parsed.action() == 7);
  CHECK(child_ran);
  CHECK_FALSE(group_ran);
}

TEST_CASE("--version answers at once") {
  CommandTree tree("program", "test", "program 1.2.3");
  const std::array<const char*, 2> words{"program", "--version"};
  const CommandTree::Parsed parsed = tree.parse(2, words.data());
  CHECK_FALSE(parsed.action);
  CHECK(parsed.exit_code == 0);
  CHECK(parsed.out == "program 1.2.3\n");
}

TEST_CASE("a shell is offered commands, options and their choices, each with what it is for") {
  CommandTree tree("omnitide-agent", "test");
  const Callbacks callbacks{};
  Session session(callbacks);
  Command root = tree.root();
  add_all(root, session);
  struct Row {
    std::vector<std::string> words;
    std::string offered;
  };
  const std::vector<Row> rows{
      {{"sta"}, "status\tWhat the running agent does: parts, URLs, registration, last events\n"},
      {{"registry", "nodes", "qu"}, "quarantine\tRefuse a node until an operator decides\n"},
      {{"status", "-o", ""}, "table\njson\nyaml\n"},
      {{"status", "-o", "j"}, "json\n"},
      {{"log-level", "regis"}, "registration\nregistry\n"},
      {{"registry", "nodes", "--ca", ""}, ":files\n"},
      {{"run", "--state-d"}, "--state-dir\tState of the agent that is meant\n"},
      {{"--run", "status", "--sta"}, "--state-dir\tState of the agent that is meant\n"},
      {{"config", "docs"}, ""},  // hidden
      {{"comp"}, "completion\tA script that completes commands in your shell\n"},
      {{"status", "--output", "policy", "ma"}, ""},
      {{"nonsense", "--zzz", "vers"}, "version\tVersion, commit and time of the build\n"},
      {{}, ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.words);
    CHECK(complete(root, row.words) == row.offered);
  }
  for (const std::string_view line : split(complete(root, std::vector<std::string>{""}), '\n'))
    CHECK(line.size() < 150);
}

TEST_CASE("the manual page has every command with its options, and requests of man(7) only") {
  CommandTree tree("omnitide-agent", "test");
  const Callbacks callbacks{};
  Session session(callbacks);
  Command root = tree.root();
  add_all(root, session);
  const std::string page = manual_page(root, "1.2.3", WallTime{});
  CHECK(page.find("\n.TH OMNITIDE\\-AGENT 8 1970-01-01 \"omnitide\\-agent 1.2.3\"") != std::string::npos);
  for (const char* command : {"\n.SS status\n", "\n.SS registry nodes approve\n", "\n.SS log\\-level\n"})
    CHECK(page.find(command) != std::string::npos);
  CHECK(page.find("\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fItable|json|yaml\\fR") != std::string::npos);
  const std::set<std::string_view> known{".\\\"", ".TH", ".SH", ".SS", ".TP", ".PP", ".nf", ".fi", ".B", ".I", ".RI"};
  for (const std::string_view line : split(page, '\n')) {
    if (!line.starts_with('.')) continue;
    INFO(line);
    CHECK(known.contains(line.substr(0, line.find(' '))));
  }
}

TEST_CASE("durations are short where people read them") {
  using namespace std::chrono_literals;
  CHECK(short_duration(0ms) == "0s");
  CHECK(short_duration(-5s) == "0s");
  CHECK(short_duration(250ms) == "250ms");
  CHECK(short_duration(61s) == "1m1s");
  CHECK(short_duration(3600s) == "1h");
  CHECK(short_duration(26h + 5min + 7s) == "1d2h");
}

}  // namespace omnitide::cli
