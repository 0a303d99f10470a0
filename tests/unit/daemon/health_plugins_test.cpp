// Files of node-problem-detector's custom plugin monitor, read and run with real programs.
#include "agent/daemon/health_plugins.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"
#include "tests/harness/loop.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using health::Finding;
using health::Verdict;

const std::string kMonitor = R"({
  "plugin": "custom",
  "pluginConfig": {"invoke_interval": "10s", "timeout": "1m30s", "max_output_length": 10, "concurrency": 2,
                   "enable_message_change_based_condition_update": false, "skip_initial_status": true},
  "source": "ntp-monitor", "metricsReporting": true,
  "conditions": [{"type": "NTPProblem", "reason": "NTPIsUp", "message": "ntp service is up"}],
  "rules": [
    {"type": "temporary", "reason": "NTPIsDown", "path": "/bin/sh", "args": ["-c", "exit 1"], "timeout": "1.5s"},
    {"type": "permanent", "condition": "NTPProblem", "reason": "NTPIsDown", "path": "/bin/sh", "args": ["-c", "SCRIPT"]}
  ]
})";

std::string replaced(std::string text, const std::string& what, const std::string& instead) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), instead);
}

PluginFile parsed(const std::string& json) {
  Result<std::optional<PluginFile>> file = parse_plugin_file(json);
  REQUIRE(file.has_value());
  REQUIRE(file->has_value());
  return std::move(**file);
}

std::string fault_of(const std::string& json) {
  const Result<std::optional<PluginFile>> file = parse_plugin_file(json);
  return file.has_value() ? "" : file.error().field + ": " + file.error().message;
}

// The permanent rule with this script.
struct Permanent {
  test::Loop loop;
  test::TempTree tree;
  Probe probe;
  explicit Permanent(const std::string& json = kMonitor) {
    probe = plugin_probes(parsed(replaced(json, "SCRIPT", ". " + tree.path() + "/script")), 2).at(1);
  }
  Finding run(const std::string& script) {
    tree.file("script", script);
    return loop.run(probe.look(std::make_shared<ProbeRun>(loop.context, loop.pool, 5s)));
  }
};

}  // namespace

TEST_CASE("a custom plugin file is read with its defaults") {
  const PluginFile file = parsed(kMonitor);
  CHECK(file.source == "ntp-monitor");
  CHECK(file.interval == 10s);
  CHECK(file.timeout == 90s);
  CHECK(file.longest == 10);
  CHECK(file.concurrency == 2);
  REQUIRE(file.rules.size() == 2);
  CHECK_FALSE(file.rules[0].permanent);
  CHECK(file.rules[0].timeout == 1500ms);
  CHECK(file.rules[1].timeout == 90s);
  const PluginFile plain = parsed(
      R"({"plugin": "custom", "source": "a", "rules": [{"type": "temporary", "reason": "B", "path": "./config/x.sh"}]})");
  CHECK(plain.interval == 30s);
  CHECK(plain.timeout == 5s);
  CHECK(plain.longest == 80);
  CHECK(plain.concurrency == 3);
  CHECK(plain.rules[0].arguments == std::vector<std::string>{"/config/x.sh"});
  CHECK_FALSE(*parse_plugin_file(R"({"plugin": "kmsg", "rules": []})"));
  CHECK_FALSE(*parse_plugin_file("no JSON"));
  const std::vector<Probe> probes = plugin_probes(file, 2);
  CHECK(probes[0].name == "ntp-monitor:NTPIsDown");
  CHECK(probes[1].name == "ntp-monitor:NTPIsDown-2");
  CHECK(probes[0].condition.empty());
  CHECK(probes[1].condition == "NTPProblem");
}

TEST_CASE("a custom plugin file with a fault is refused with its place") {
  CHECK(fault_of(replaced(kMonitor, "ntp-monitor", "")) == "source: the file names no source");
  CHECK(fault_of(replaced(kMonitor, "\"10s\"", "\"10\"")) ==
        "pluginConfig.invoke_interval: it is no duration from 1s to 1d");
  CHECK(fault_of(replaced(kMonitor, "1.5s", "2m")) == "rules[0].timeout: it is no duration from 1ms to 1m30s");
  CHECK(fault_of(replaced(kMonitor, "\"concurrency\": 2", "\"concurrency\": 0")) ==
        "pluginConfig.concurrency: it is no whole number from 1 on");
  CHECK(fault_of(replaced(kMonitor, "\"NTPProblem\", \"reason\": \"NTPIsDown\"", "\"X\", \"reason\": \"Y\"")) ==
        "rules[1].condition: a permanent rule names no condition of the file");
  CHECK(fault_of(replaced(kMonitor, "\"temporary\"", "\"sometimes\"")) ==
        "rules[0].type: \"sometimes\" is neither temporary nor permanent");
  CHECK(fault_of(replaced(kMonitor, "\"path\": \"/bin/sh\", \"args\": [\"-c\", \"exit 1\"]", "\"path\": \"\"")) ==
        "rules[0].path: a rule names no program");
  CHECK(fault_of(R"({"plugin": "custom", "source": "a"})") == "rules: the file has no rules");
}

TEST_CASE("durations are Go's") {
  CHECK(parse_go_duration("1h30m") == 90min);
  CHECK(parse_go_duration("1.5h") == 90min);
  CHECK(parse_go_duration(".5s") == 500ms);
  CHECK(parse_go_duration("100us") == 1ms);  // never nothing
  CHECK(parse_go_duration("0") == 0ms);
  for (const char* none : {"", "5", "s", "1x", "-1s", "1s ", "1..5s", "1e3s", "99999999999h"})
    CHECK_FALSE(parse_go_duration(none));
}

TEST_CASE("exit status 0 is well, 1 is bad, everything else is not known") {
  Permanent rule;
  const Finding good = rule.run("echo ignored");
  CHECK(good.verdict == Verdict::good);
  CHECK(good.reason == "NTPIsUp");
  CHECK(good.message == "ntp service is up");
  const Finding bad = rule.run("echo service is down; echo more; exit 1");
  CHECK(bad.verdict == Verdict::bad);
  CHECK(bad.reason == "NTPIsDown");
  CHECK(bad.message.substr(0, 10) == "service is");
  CHECK(bad.message.size() <= 13);
  CHECK(rule.run("exit 2").verdict == Verdict::unknown);
  CHECK(rule.run("kill -9 $$").verdict == Verdict::unknown);
}

TEST_CASE("a fault keeps its first message, unless another one is asked to be news") {
  Permanent keeps;
  CHECK(keeps.run("echo one; exit 1").message == "one");
  CHECK(keeps.run("echo two; exit 1").message == "one");
  CHECK(keeps.run("exit 0").verdict == Verdict::good);
  CHECK(keeps.run("echo three; exit 1").message == "three");
  Permanent news(replaced(kMonitor, "update\": false", "update\": true"));
  CHECK(news.probe.words_are_news);
  CHECK(news.run("echo one; exit 1").message == "one");
  CHECK(news.run("echo two; exit 1").message == "two");
}

TEST_CASE("a program that takes too long is ended, and nothing is known") {
  Permanent rule;
  rule.tree.file("script", "sleep 1000");
  const Finding late =
      rule.loop.run(rule.probe.look(std::make_shared<ProbeRun>(rule.loop.context, rule.loop.pool, 200ms)));
  CHECK(late.verdict == Verdict::unknown);
  CHECK(late.message.find("it took too long") == 0);
}

TEST_CASE("programs of a file that others than root may write are not run") {
  test::TempTree tree;
  tree.file("monitor.json", kMonitor);
  const std::string path = tree.path() + "/monitor.json";
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  const Result<std::optional<PluginFile>> refused = load_plugin_file(path);
  REQUIRE(refused.has_error());
  CHECK(refused.error().text().find("the programs of " + path + " are not run: ") == 0);
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(load_plugin_file(path).has_value() == (::getuid() == 0));
  tree.file("kernel.json", R"({"plugin": "kmsg"})");
  CHECK_FALSE(*load_plugin_file(tree.path() + "/kernel.json"));  // not of programs: whoever may write it
}

}  // namespace omnitide::daemon
