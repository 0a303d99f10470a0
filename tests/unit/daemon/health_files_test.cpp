// What health keeps on disk, and the rule files that it reads.
#include <filesystem>

#include "agent/config/health_keys.hpp"
#include "agent/daemon/health_history.hpp"
#include "agent/daemon/health_network.hpp"
#include "agent/daemon/health_remedy.hpp"
#include "agent/daemon/health_rules.hpp"
#include "agent/daemon/health_state.hpp"
#include "agent/daemon/health_units.hpp"
#include "health/checks/checks.hpp"
#include "omnitide/node/v1/health.pb.h"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::daemon {
namespace {

using namespace std::chrono_literals;
using health::Verdict;

HealthSaved some() {
  HealthSaved out;
  out.conditions.push_back({{"DiskPressure", "disk-space", Verdict::bad, "DiskSpaceLow", "caf\xc3\xa9", {{"a", "b"}}},
                            WallTime{1s},
                            WallTime{2s}});
  out.decider.running = 90min;
  out.decider.boot_time = 5min;
  out.decider.boot_id = "boot";
  out.decider.ledger.push_back({80min, {health::ActionKind::reboot, ""}, "KernelDeadlock", ""});
  out.decider.ledger.push_back(
      {85min, {health::ActionKind::restart_unit, "a.service"}, "SystemdUnitFailed", "a.service"});
  health::Episode episode;
  episode.condition = "SystemdUnitFailed";
  episode.subject = "a.service";
  episode.present = episode.verifying = episode.told_exhausted = true;
  episode.step = 1;
  episode.tried = 3;
  episode.since = episode.cleared = episode.acted = 7min;
  episode.acted_boot = "boot";
  out.decider.episodes.push_back(episode);
  out.decider.paused = true;
  out.decider.paused_until = WallTime{77s};
  out.kernel_sequence = 4711;
  out.log_positions = {{"journal", "s=1;i=2"}, {"/var/log/x", "1:2:3"}};
  out.restarts.push_back({"kubelet.service", 7, 3min, {1min, 2min}});
  out.quarantine = {"KernelDeadlock", true, {1h, 2h}};
  return out;
}

const std::string kMonitor = R"({
	"plugin": "kmsg", "logPath": "/dev/kmsg", "lookback": "5m", "bufferSize": 10, "source": "kernel-monitor",
	"metricsReporting": true, "pluginConfig": {"a": "b"},
	"conditions": [{"type": "KernelDeadlock", "reason": "NoDeadlock", "message": "none"}],
	"rules": [
		{"type": "temporary", "reason": "TaskHung", "pattern": "task [\\S ]+:\\w+ blocked for more than \\w+ seconds\\."},
		{"type": "permanent", "condition": "KernelDeadlock", "reason": "Hung", "pattern": "task docker:\\w+ blocked"}
	]
})";

std::string with(std::string text, const std::string& what, const std::string& instead) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), instead);
}

}  // namespace

TEST_CASE("the state of health is the same after it was saved and loaded") {
  const test::TempTree tree;
  const std::string path = tree.path() + "/health.json";
  REQUIRE(load_health(path));  // none yet
  const HealthSaved saved = some();
  REQUIRE(save_health(path, saved));
  const Result<HealthSaved> loaded = load_health(path);
  REQUIRE(loaded);
  REQUIRE(loaded->conditions.size() == 1);
  const health::ConditionEntry& entry = loaded->conditions[0];
  CHECK(entry.settled.condition == "DiskPressure");
  CHECK(entry.settled.check == "disk-space");
  CHECK(entry.settled.verdict == Verdict::bad);
  CHECK(entry.settled.message == "caf\xc3\xa9");
  CHECK(entry.settled.evidence == health::Evidence{{"a", "b"}});
  CHECK(entry.since == WallTime{1s});
  CHECK(entry.seen == WallTime{2s});
  CHECK(loaded->decider.running == 90min);
  CHECK(loaded->decider.boot_time == 5min);
  CHECK(loaded->decider.ledger.size() == 2);
  CHECK(loaded->decider.ledger[0].action.kind == health::ActionKind::reboot);
  CHECK(loaded->decider.ledger[1].action == saved.decider.ledger[1].action);
  CHECK(loaded->decider.ledger[1].time == 85min);
  const health::Episode &is = loaded->decider.episodes.at(0), &was = saved.decider.episodes[0];
  CHECK(is.subject == was.subject);
  CHECK((is.present && is.verifying && is.told_exhausted));
  CHECK((is.step == 1 && is.tried == 3 && is.acted == 7min && is.since == 7min && is.cleared == 7min));
  CHECK(is.acted_boot == "boot");
  CHECK((loaded->decider.paused && loaded->decider.paused_until == WallTime{77s}));
  CHECK(loaded->kernel_sequence == 4711);
  CHECK(loaded->log_positions == saved.log_positions);
  REQUIRE(loaded->restarts.size() == 1);
  CHECK(loaded->restarts[0].unit == "kubelet.service");
  CHECK(loaded->restarts[0].counter == 7);
  CHECK(loaded->restarts[0].seen == 3min);
  CHECK(loaded->restarts[0].times == saved.restarts[0].times);
  CHECK(loaded->quarantine.condition == "KernelDeadlock");
  CHECK(loaded->quarantine.done);
  CHECK(loaded->quarantine.ledger == saved.quarantine.ledger);
}

TEST_CASE("a state that was cut off is damaged, and its budgets count as used up") {
  const test::TempTree tree;
  const std::string path = tree.path() + "/health.json";
  REQUIRE(save_health(path, some()));
  const auto size = std::filesystem::file_size(path);
  for (const auto left : {size / 2, size - 3}) {
    std::filesystem::resize_file(path, left);
    REQUIRE(load_health(path).error().code == Code::data_loss);
  }
  config::HealthConfig config;
  config.units = {"a.service"};
  health::Decider decider(health_ladders(config), health_bounds(config), used_up(health_bounds(config)));
  health::World world{.boot_time = 1h, .wall = WallTime{1h}, .boot_id = "b", .locked = false, .round = 0, .faults = {}};
  bool acted = false;
  for (int i = 0; i < 1000; ++i) {
    world.boot_time += 1min;
    ++world.round;
    world.faults = {{"SystemdUnitFailed", "a.service", true}};
    for (const health::Decision& each : decider.decide(world))
      if (each.outcome == health::Outcome::act) acted = true;
  }
  REQUIRE_FALSE(acted);
}

TEST_CASE("the history survives, is bounded, and loses no more than the line that a kill cut off") {
  const test::TempTree tree;
  const std::string path = tree.path() + "/history.jsonl";
  node::v1::HealthEvent event;
  event.set_kind("event");
  {
    HealthHistory history(path);
    for (int i = 0; i < 10; ++i) {
      event.set_subject(std::to_string(i));
      REQUIRE(history.add(event));
    }
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 5);
  {
    HealthHistory history(path);
    node::v1::HealthHistory all;
    history.fill(all);
    REQUIRE(all.items_size() == 9);
    event.set_subject("after");
    REQUIRE(history.add(event));
  }
  node::v1::HealthHistory all;
  HealthHistory(path).fill(all);
  REQUIRE(all.items_size() == 10);
  REQUIRE(all.items(9).subject() == "after");

  HealthHistory history(path);
  event.set_message(std::string(4000, 'x'));
  for (int i = 0; i < 700; ++i)  // 2.8 MB
    REQUIRE(history.add(event));
  REQUIRE(std::filesystem::file_size(path) <= HealthHistory::kLongest);
  REQUIRE(std::filesystem::file_size(path + ".1") <= HealthHistory::kLongest);
  node::v1::HealthHistory last;
  HealthHistory(path).fill(last);
  REQUIRE(last.items_size() == static_cast<int>(HealthHistory::kShown));
}

TEST_CASE("a rule file of node-problem-detector's form loads as it is") {
  const Result<health::LogRules> rules = parse_log_rules(kMonitor);
  REQUIRE(rules);
  CHECK(rules->source == "kernel-monitor");
  CHECK(rules->buffer_lines == 10);
  REQUIRE(rules->defaults.size() == 1);
  CHECK(rules->defaults[0].condition == "KernelDeadlock");
  REQUIRE(rules->rules.size() == 2);
  CHECK_FALSE(rules->rules[0].permanent);
  CHECK(rules->rules[1].condition == "KernelDeadlock");
  health::LogMatcher matcher({*rules});
  CHECK(matcher.take("INFO: task a b:12 blocked for more than 120 seconds.").size() == 1);
  CHECK(matcher.take("INFO: task docker:12 blocked").size() == 1);
}

TEST_CASE("rules for the journal and for files name the log that they are for") {
  const auto of = [](const std::string& plugin, const std::string& path, const std::string& config) {
    std::string json = with(kMonitor, "\"kmsg\"", "\"" + plugin + "\"");
    json = with(json, "/dev/kmsg", path);
    return parse_log_rules(with(json, "{\"a\": \"b\"}", config));
  };
  const auto journal = of("journald", "/var/log/journal", R"({"source": "kubelet"})");
  REQUIRE(journal);
  CHECK(journal->origin.plugin == health::LogPlugin::journald);
  CHECK(journal->origin.identifier == "kubelet");
  CHECK(journal->origin.path.empty());  // the system's, wherever it is
  CHECK(journal->origin.look_back == 5min);
  CHECK(of("journald", "/srv/journal", R"({"source": "kubelet"})")->origin.path == "/srv/journal");
  const auto file =
      of("filelog", "/var/log/docker.log",
         R"({"timestamp": "^time=\"(\\S*)\"", "message": "msg=\"([^\n]*)\"", "timestampFormat": "2006"})");
  REQUIRE(file);
  CHECK(file->origin.plugin == health::LogPlugin::filelog);
  CHECK(file->origin.path == "/var/log/docker.log");
  REQUIRE(file->origin.form);
  CHECK(file->origin.form->parse("time=\"2023\" msg=\"x\"", WallTime{1s})->message == "x");
}

TEST_CASE("a rule file with a fault is refused with its place") {
  const auto field = [](const std::string& json) { return parse_log_rules(json).error().field; };
  CHECK(field(with(kMonitor, "\"kmsg\"", "\"custom\"")) == "plugin");
  CHECK(field(with(kMonitor, "\"5m\"", "\"soon\"")) == "lookback");
  CHECK(field(with(kMonitor, "\"kmsg\"", "\"journald\"")) == "pluginConfig.source");
  CHECK(field(with(kMonitor, "\"kmsg\"", "\"filelog\"")) == "pluginConfig.timestamp");
  CHECK(field(with(with(kMonitor, "\"kmsg\"", "\"filelog\""), "/dev/kmsg", "kmsg")) == "logPath");
  CHECK(field(with(kMonitor, "\"kernel-monitor\"", "\"\"")) == "source");
  CHECK(field(with(kMonitor, ": 10", ": 0")) == "bufferSize");
  CHECK(field(with(kMonitor, ": 10", ": 1e9")) == "bufferSize");
  CHECK(field(with(kMonitor, "\"temporary\"", "\"both\"")) == "rules[0].type");
  CHECK(field(with(kMonitor, "\"TaskHung\"", "\"\"")) == "rules[0].reason");
  CHECK(field(with(kMonitor, "task docker", "(")) == "rules[1].pattern");
  CHECK(field(with(kMonitor, "\"condition\": \"KernelDeadlock\"", "\"condition\": \"Other\"")) == "rules[1].condition");
  CHECK(field(with(kMonitor, "\"type\": \"KernelDeadlock\"", "\"type\": \"\"")) == "conditions[0].type");
  CHECK(parse_log_rules("{").error().code == Code::invalid_argument);
  CHECK(parse_log_rules("[]").has_error());
  CHECK(parse_log_rules(R"({"plugin":"kmsg","source":"x","rules":[]})").error().field == "rules");
  CHECK(parse_log_rules(R"({"plugin":"kmsg","source":"x","rules":["no"]})").error().field == "rules[0].type");
  CHECK(load_log_rules("/nowhere/at/all").error().code == Code::not_found);
}

TEST_CASE("what the configuration allows is what may be done") {
  config::HealthConfig config;
  CHECK(health_ladders(config).empty());
  config.units = {"a.service", "b.service"};
  config.remediation.reboot_for = {"KernelDeadlock"};
  config.remediation.windows = {"Sun 02:00-04:30"};
  const auto ladders = health_ladders(config);
  REQUIRE(ladders.size() == 3);
  CHECK(ladders[0].steps == std::vector<health::Action>{{health::ActionKind::restart_unit, "a.service"}});
  CHECK(ladders[2].steps == std::vector<health::Action>{{health::ActionKind::reboot, ""}});
  const health::Bounds bounds = health_bounds(config);
  CHECK(bounds.reboots == 1);
  CHECK((bounds.windows.at(0).weekday == 0 && bounds.windows[0].end == 270min));
  config.remediation.reboot_for.clear();
  CHECK(health_bounds(config).reboots == 0);

  health::ConditionStore store;
  CHECK(health_faults(ladders, store).empty());
  (void)store.apply(unit_finding({"a.service", "loaded", "failed", "/a"}), {1, 1}, WallTime{1s});
  (void)store.apply(unit_finding({"b.service", "not-found", "inactive", "/b"}), {1, 1}, WallTime{1s});
  const auto faults = health_faults(ladders, store);
  REQUIRE(faults.size() == 2);
  CHECK(faults[0].present);
  CHECK_FALSE(faults[1].present);  // a unit that does not exist cannot be restarted
  CHECK(unit_finding({"a.service", "loaded", "inactive", "/a"}).verdict == Verdict::good);
  CHECK(unit_finding({"a.service", "loaded", "activating", "/a"}).verdict == Verdict::good);
}

TEST_CASE("remedies that are off by default come with their settings, each for its own condition") {
  using health::ActionKind;
  config::HealthConfig config;
  config.interval = 2min;
  config.remediation.vacuum_journal = 200;
  config.remediation.clean = {"/var/cache/app 7d"};
  config.remediation.reset_links = {"eth0", "eth1"};
  config.remediation.restart_resolver = "systemd-resolved.service";
  const auto ladders = health_ladders(config);
  REQUIRE(ladders.size() == 4);
  CHECK(ladders[0].condition == "DiskPressure");
  CHECK(ladders[0].steps == std::vector<health::Action>{{ActionKind::vacuum_journal, ""}, {ActionKind::clean, ""}});
  CHECK(ladders[2].steps == std::vector<health::Action>{{ActionKind::reset_link, "eth1"}});
  CHECK(ladders[3].condition == "DNSUnavailable");
  CHECK(health_bounds(config).verify_by_checks == 10min);

  // A link is reset for what is said of itself, whichever check says it.
  health::ConditionStore store;
  const auto faults_of = [&](const std::string& link) -> std::optional<bool> {
    for (const health::Fault& each : health_faults(ladders, store))
      if (each.subject == link) return each.present;
    return std::nullopt;
  };
  CHECK(faults_of("eth0") == std::nullopt);
  (void)store.apply({"NetworkDegraded", "link-errors", Verdict::good, "LinksWithoutErrors", "", {}}, {1, 1},
                    WallTime{1s});
  CHECK(faults_of("eth0") == false);
  (void)store.apply(
      {"NetworkDegraded", "carrier", Verdict::bad, "CarrierLost", "", {{"device", "eth9"}, {"device", "eth1"}}}, {1, 1},
      WallTime{1s});
  CHECK(faults_of("eth0") == false);
  CHECK(faults_of("eth1") == true);
}

TEST_CASE("every kind of action is the same after it was saved and loaded") {
  const test::TempTree tree;
  const std::string path = tree.path() + "/health.json";
  HealthSaved saved;
  for (std::size_t i = 0; i < health::kActionKinds; ++i)
    saved.decider.ledger.push_back({1min, {static_cast<health::ActionKind>(i), "target"}, "C", "s"});
  REQUIRE(save_health(path, saved));
  const Result<HealthSaved> loaded = load_health(path);
  REQUIRE(loaded);
  for (std::size_t i = 0; i < health::kActionKinds; ++i)
    CHECK(loaded->decider.ledger[i].action == saved.decider.ledger[i].action);
}

TEST_CASE("folders that may be cleaned are the operator's own") {
  const auto good = config::parse_cleaning("/var/cache/my app 7d");
  REQUIRE(good);
  CHECK((good->path == "/var/cache/my app" && good->older_than == 7 * 24h));
  for (const char* each : {"/tmp/x 1h", "/srv/data 30d", "/var/tmp 2d", "/var/log/app 30d", "/data/in 1d"})
    CHECK(config::parse_cleaning(each));
  for (const char* each : {"",
                           "/var/cache/app",
                           "/var/cache/app 59m",
                           "/var/cache/app 7",
                           "/ 7d",
                           "/etc/x 7d",
                           "/usr/share 7d",
                           "/var 7d",
                           "/var/lib 7d",
                           "/var/log 7d",
                           "/var/lib/dpkg/info 7d",
                           "/var/log/journal 7d",
                           "/var/cache/../lib 7d",
                           "/var//cache/x 7d",
                           "/var/cache/x/ 7d",
                           "/var/cache/./x 7d",
                           "var/cache/x 7d",
                           "/home/me 7d",
                           "/proc/1 7d",
                           "/var/lib/omnitide 7d",
                           "/var/run/x 7d"}) {
    INFO(each);
    CHECK_FALSE(config::parse_cleaning(each));
  }
}

TEST_CASE("windows are read as they are written") {
  CHECK(config::parse_window("02:00-04:00"));
  CHECK(config::parse_window("Sat 23:00-01:00")->weekday == 6);
  for (const char* bad : {"", "2:00-4:00", "02:00-24:00", "02:00-02:00", "Sun02:00-04:00", "02:00 04:00",
                          "Xxx 02:00-04:00", "02:60-03:00", "02:00-04:00 "})
    CHECK_FALSE(config::parse_window(bad));
}

TEST_CASE("the names of checks in the configuration are those that there are") {
  const config::Key* key = config::find_key("health.exclude");
  REQUIRE(key != nullptr);
  std::vector<std::string> names;
  for (const health::Check& check : health::node_checks({}, {}))
    names.emplace_back(check.name);
  for (const health::RestartedService& service : health::kRestartedServices)
    names.emplace_back(service.check);
  for (const Probe& probe : network_probes({.root = *Root::open("/")}))
    names.push_back(probe.name);
  for (const std::string& name : names) {
    config::Value list;
    list.kind = config::Value::Kind::list;
    list.items.push_back(config::Value::scalar(name));
    config::Config config;
    config::Problems problems;
    key->set(config, list, problems);
    CHECK(problems.empty());
    CHECK(config.health.exclude.size() == 1);
  }
}

}  // namespace omnitide::daemon
