#include "agent/config/health_keys.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include "agent/base/text.hpp"
#include "agent/config/health_checks.hpp"
#include "agent/config/reading.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr std::size_t kLongestUnit = 255;

}  // namespace

// A unit test of the daemon holds them against those of health/checks.
const std::vector<std::string>& built_in_checks() {
  static const std::vector<std::string> names{
      "disk-space",    "disk-inodes",   "readonly",          "filesystem-errors",
      "memory",        "processes",     "open-files",        "conntrack",
      "default-route", "resolver",      "link-errors",       "carrier",
      "clock",         "memory-errors", "temperature",       "certificates",
      "agent",         "kubelet",       "container-runtime", "disk-wear",
      "registry",      "link-flaps",    "kubelet-restarts",  "containerd-restarts",
      "name-servers",  "gateway"};
  return names;
}

namespace {

// Conditions for which a reboot may help: none that it only hides.
const std::vector<std::string>& reboot_conditions() {
  static const std::vector<std::string> names{"KernelDeadlock", "ReadonlyFilesystem", "XfsShutdown",
                                              "SystemdUnitFailed"};
  return names;
}

void read_units(const Value& value, std::vector<std::string>& out, Problems& problems) {
  read_texts(value, "a list of units", is_unit, "a unit's whole name, as nginx.service", out, problems);
}
void read_files(const Value& value, std::vector<std::string>& out, Problems& problems) {
  const auto valid = [](std::string_view text) { return text.starts_with('/') && text.size() <= kLongestPath; };
  read_texts(value, "a list of files", valid, "an absolute path", out, problems);
}
void read_windows(const Value& value, std::vector<std::string>& out, Problems& problems) {
  const auto valid = [](std::string_view text) { return parse_window(text).has_value(); };
  read_texts(value, "a list of windows", valid, "as \"02:00-04:00\" or \"Sun 02:00-04:00\", in UTC", out, problems);
}

std::optional<std::chrono::minutes> parse_clock(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hours = parse_number<std::uint32_t>(text.substr(0, 2));
  const auto minutes = parse_number<std::uint32_t>(text.substr(3));
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return std::chrono::minutes(*hours * 60 + *minutes);
}

// One that only hides behind a member.
template <auto Member>
constexpr auto get_threshold = [](const Config& c) { return show(c.health.thresholds.*Member); };

std::vector<Key> remediation_keys() {
  return {Key{"health.remediation.enabled", "boolean",
              "Mend what the checks find: restart the units of health.units that have failed, and what else is "
              "switched on.",
              "", "", true, false,
              [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.health.remediation.enabled, p); },
              [](const Config& c) { return show(c.health.remediation.enabled); }},
          Key{"health.remediation.dry_run", "boolean", "Only say what would be done.", "", "", true, false,
              [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.health.remediation.dry_run, p); },
              [](const Config& c) { return show(c.health.remediation.dry_run); }},
          Key{"health.remediation.restarts", "1 to 100", "Restarts of one unit in a day.", "", "", true, false,
              [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 100, c.health.remediation.restarts, p); },
              [](const Config& c) { return show(c.health.remediation.restarts); }},
          Key{"health.remediation.actions", "1 to 1000", "Actions of all kinds in a day.", "", "", true, false,
              [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 1000, c.health.remediation.actions, p); },
              [](const Config& c) { return show(c.health.remediation.actions); }},
          Key{"health.remediation.reboot_for", "list of conditions",
              "Conditions for which the node is restarted when milder steps did not help, once a day at most: "
              "KernelDeadlock, "
              "ReadonlyFilesystem, XfsShutdown, SystemdUnitFailed.",
              "[]", "[KernelDeadlock]", true, false,
              [](Config& c, const Value& v, Problems& p) {
                read_words(v, reboot_conditions(), c.health.remediation.reboot_for, p);
              },
              [](const Config& c) { return show(c.health.remediation.reboot_for); }},
          Key{"health.remediation.windows", "list of \"[DAY ]HH:MM-HH:MM\"",
              "When the node may be restarted, in UTC; empty: at any time.", "[]", "[\"Sun 02:00-04:00\"]", true, false,
              [](Config& c, const Value& v, Problems& p) { read_windows(v, c.health.remediation.windows, p); },
              [](const Config& c) { return show(c.health.remediation.windows); }},
          Key{"health.remediation.lock_file", "absolute path", "While this file exists nothing is done.", "", "", true,
              false,
              [](Config& c, const Value& v, Problems& p) {
                read_path(v, false, kLongestPath, c.health.remediation.lock_file, p);
              },
              [](const Config& c) { return show(c.health.remediation.lock_file); }}};
}

std::vector<Key> threshold_keys() {
  using T = HealthThresholds;
  return {
      Key{"health.thresholds.disk_space", "1 to 90", "Percent of its space that a filesystem must have left.", "", "",
          false, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 90, c.health.thresholds.disk_space, p); },
          get_threshold<&T::disk_space>},
      Key{"health.thresholds.disk_inodes", "1 to 90", "Percent of its inodes that a filesystem must have left.", "", "",
          false, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 90, c.health.thresholds.disk_inodes, p); },
          get_threshold<&T::disk_inodes>},
      Key{"health.thresholds.disk_lasts", "duration, 1m to 7d",
          "A filesystem that will be full within this, as it looks, is pressure on the disk.", "", "", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 1min, kWeek, c.health.thresholds.disk_lasts, p);
          },
          get_threshold<&T::disk_lasts>},
      Key{"health.thresholds.memory", "1 to 90", "Percent of the memory that must be available.", "", "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 90, c.health.thresholds.memory, p); },
          get_threshold<&T::memory>},
      Key{"health.thresholds.use", "10 to 99",
          "Percent of processes, open files and tracked connections that may be in use.", "", "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 10, 99, c.health.thresholds.use, p); },
          get_threshold<&T::use>},
      Key{"health.thresholds.certificate", "duration, 1m to 365d",
          "How long the registration's certificate must still be valid; a quarter of its whole time where that is "
          "less.",
          "", "", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 1min, std::chrono::days{365}, c.health.thresholds.certificate, p);
          },
          get_threshold<&T::certificate>},
      Key{"health.thresholds.registry", "duration, 1m to 30d",
          "How long the registry may be silent; more where nodes are connected now and then.", "", "", false, false,
          [](Config& c, const Value& v, Problems& p) {
            read_duration(v, 1min, std::chrono::days{30}, c.health.thresholds.registry, p);
          },
          get_threshold<&T::registry>}};
}

}  // namespace

void read_texts(const Value& value, std::string_view right, const std::function<bool(std::string_view)>& valid,
                const std::string& hint, std::vector<std::string>& out, Problems& problems) {
  if (!is_list(value, right, problems)) return;
  std::vector<std::string> all;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string field = "[" + std::to_string(i) + "]";
    const auto text = scalar(value.items[i], right, problems, field);
    if (!text) continue;
    if (!valid(*text)) {
      add(problems, value.items[i], field, quote(*text) + " is not valid", hint);
      continue;
    }
    if (std::ranges::find(all, *text) == all.end()) all.emplace_back(*text);
  }
  out = std::move(all);
}

// Letters, digits and :-_.\@, with the type behind a dot.
bool is_unit(std::string_view text) {
  constexpr std::array<std::string_view, 6> kTypes{".service", ".socket", ".timer", ".mount", ".path", ".target"};
  return text.size() <= kLongestUnit &&
         std::ranges::any_of(kTypes, [text](auto type) { return text.size() > type.size() && text.ends_with(type); }) &&
         std::ranges::all_of(text, [](char c) {
           return is_alphanumeric(c) || std::string_view(":-_.\\@").find(c) != std::string_view::npos;
         });
}

std::optional<HealthWindow> parse_window(std::string_view text) {
  constexpr std::array<std::string_view, 7> kDays{"Sun ", "Mon ", "Tue ", "Wed ", "Thu ", "Fri ", "Sat "};
  HealthWindow out;
  for (std::size_t i = 0; i < kDays.size(); ++i)
    if (text.starts_with(kDays.at(i))) out.weekday = static_cast<int>(i);
  if (out.weekday >= 0) text.remove_prefix(4);
  if (text.size() != 11 || text[5] != '-') return std::nullopt;
  const auto begin = parse_clock(text.substr(0, 5)), end = parse_clock(text.substr(6));
  if (!begin || !end || *begin == *end) return std::nullopt;
  out.begin = *begin;
  out.end = *end;
  return out;
}

const std::vector<Key>& health_keys() {
  static const std::vector<Key> all = [] {
    std::vector<Key> out{
        Key{"health.enabled", "boolean", "Check the node, and say what is wrong with it: docs/health.md.", "", "",
            false, false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.health.enabled, p); },
            [](const Config& c) { return show(c.health.enabled); }},
        Key{"health.interval", "duration, 1s to 10m", "Time between two rounds of checks.", "", "", true, false,
            [](Config& c, const Value& v, Problems& p) { read_duration(v, 1s, 10min, c.health.interval, p); },
            [](const Config& c) { return show(c.health.interval); }},
        Key{"health.exclude", "list of checks", "Checks that are not made; `omnitide-agent health` lists all.", "[]",
            "[temperature]", false, false,
            [](Config& c, const Value& v, Problems& p) { read_words(v, built_in_checks(), c.health.exclude, p); },
            [](const Config& c) { return show(c.health.exclude); }},
        Key{"health.kernel_log", "boolean",
            "Read /dev/kmsg and hold it against rules; needs CAP_SYSLOG where dmesg is restricted.", "", "", false,
            false, [](Config& c, const Value& v, Problems& p) { read_boolean(v, c.health.kernel_log, p); },
            [](const Config& c) { return show(c.health.kernel_log); }},
        Key{"health.kernel_log_rate", "10 to 100000",
            "Lines a second that are looked at; the kernel overwrites those that come faster, and they are counted.",
            "", "", false, false,
            [](Config& c, const Value& v, Problems& p) { read_count(v, 10, 100'000, c.health.kernel_log_rate, p); },
            [](const Config& c) { return show(c.health.kernel_log_rate); }},
        Key{"health.rule_files", "list of absolute paths",
            "Rules beside the agent's own, in node-problem-detector's form, for its plugins kmsg and custom.", "[]",
            "[/etc/omnitide/kernel-monitor.json]", false, false,
            [](Config& c, const Value& v, Problems& p) { read_files(v, c.health.rule_files, p); },
            [](const Config& c) { return show(c.health.rule_files); }},
        Key{"health.units", "list of units", "Units of systemd that must run: watched, and restarted when they fail.",
            "[]", "[nginx.service]", false, false,
            [](Config& c, const Value& v, Problems& p) { read_units(v, c.health.units, p); },
            [](const Config& c) { return show(c.health.units); }},
        Key{"health.checks", "list of checks",
            "Checks of your own, each with a name and one of command, http, tcp, grpc and file: docs/health.md. "
            "Commands are "
            "taken only from files that root owns and nobody else may write.",
            "[]", "[{name: web, http: \"http://127.0.0.1:8080/healthz\", interval: 15s}]", false, false,
            [](Config& c, const Value& v, Problems& p) { read_checks(v, c.health.checks, p); },
            [](const Config& c) { return show_checks(c.health.checks); }}};
    for (auto more : {threshold_keys, remediation_keys, mending_keys}) {
      for (const Key& key : more())
        out.push_back(key);
    }
    return out;
  }();
  return all;
}

}  // namespace omnitide::config
