// Keys of remedies that are off until they are asked for.
#include <algorithm>
#include <array>
#include <string>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"
#include "agent/config/health_keys.hpp"
#include "agent/config/reading.hpp"
#include "agent/config/values.hpp"

namespace omnitide::config {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMostMebibytes = 1U << 20U;
constexpr std::size_t kLongestDevice = 15;  // IFNAMSIZ

void read_cleanings(const Value& value, std::vector<std::string>& out, Problems& problems) {
  const auto valid = [](std::string_view text) { return parse_cleaning(text).has_value(); };
  read_texts(value, "a list of folders with an age", valid,
             "as \"/var/cache/app 7d\", at least 1h: a folder of your own below /var, /srv, /opt, /tmp, /mnt, /media "
             "or /data, and not /var/lib or /var/log as a whole",
             out, problems);
}

void read_links(const Value& value, std::vector<std::string>& out, Problems& problems) {
  const auto valid = [](std::string_view text) {
    return !text.empty() && text.size() <= kLongestDevice && text != "lo" && text != "." && text != ".." &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 127 && c != '/' && c != '*' && c != '?'; });
  };
  read_texts(value, "a list of network devices", valid, "the name of one device, as eth0; patterns are not taken", out,
             problems);
}

void read_conditions(const Value& value, std::vector<std::string>& out, Problems& problems) {
  constexpr std::size_t kLongestCondition = 63;  // the value of a taint
  const auto valid = [](std::string_view text) {
    return !text.empty() && text.size() <= kLongestCondition && std::ranges::all_of(text, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    });
  };
  read_texts(value, "a list of conditions", valid, "a condition's name, as KernelDeadlock", out, problems);
}

void read_resolver(const Value& value, std::string& out, Problems& problems) {
  const auto text = scalar(value, "a unit", problems);
  if (!text) return;
  if (!text->empty() && !is_unit(*text))
    return add(problems, value, {}, quote(*text) + " is not valid", "a unit's whole name, as systemd-resolved.service");
  out = *text;
}

}  // namespace

std::optional<Cleaning> parse_cleaning(std::string_view text) {
  constexpr std::array<std::string_view, 7> kBelow{"/var/", "/srv/", "/opt/", "/tmp/", "/mnt/", "/media/", "/data/"};
  constexpr std::array<std::string_view, 7> kNotThese{"/var/lib",  "/var/log",     "/var/cache", "/var/spool",
                                                      "/var/mail", "/var/backups", "/var/local"};
  constexpr std::array<std::string_view, 8> kNorBelow{"/var/lib/dpkg",     "/var/lib/rpm", "/var/lib/systemd",
                                                      "/var/lib/omnitide", "/var/lib/pam", "/var/log/journal",
                                                      "/var/run",          "/var/lock"};
  const std::size_t space = text.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const std::string_view path = text.substr(0, space);
  const auto age = parse_duration(text.substr(space + 1));
  if (!age || *age < 1h || path.size() > kLongestPath || path.ends_with('/')) return std::nullopt;
  if (std::ranges::none_of(kBelow, [path](auto root) { return path.starts_with(root); })) return std::nullopt;
  if (std::ranges::find(kNotThese, path) != kNotThese.end()) return std::nullopt;
  const auto below = [path](std::string_view folder) {
    return path == folder || (path.starts_with(folder) && path[folder.size()] == '/');
  };
  if (std::ranges::any_of(kNorBelow, below)) return std::nullopt;
  for (const std::string_view part : split(path.substr(1), '/'))
    if (part.empty() || part == "." || part == "..") return std::nullopt;
  return Cleaning{std::string(path), *age};
}

std::vector<Key> mending_keys() {
  return {
      Key{"health.remediation.repeats", "1 to 100",
          "How often in a day each of these may be done: the journal vacuumed, folders cleaned, one link reset, the "
          "resolver restarted.",
          "", "", true, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 100, c.health.remediation.repeats, p); },
          [](const Config& c) { return show(c.health.remediation.repeats); }},
      Key{"health.remediation.vacuum_journal", "0 to 1048576",
          "With DiskPressure the journal is vacuumed until so many MiB are left of it; 0: it is not.", "", "200", true,
          false,
          [](Config& c, const Value& v, Problems& p) {
            read_count(v, 0, kMostMebibytes, c.health.remediation.vacuum_journal, p);
          },
          [](const Config& c) { return show(c.health.remediation.vacuum_journal); }},
      Key{"health.remediation.clean", "list of \"PATH AGE\"",
          "With DiskPressure regular files below these folders that are older are removed: no links, nothing on other "
          "filesystems.",
          "[]", "[\"/var/cache/app 7d\"]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_cleanings(v, c.health.remediation.clean, p); },
          [](const Config& c) { return show(c.health.remediation.clean); }},
      Key{"health.remediation.reset_links", "list of devices",
          "Network devices that are taken down and up again when they lose their carrier or have many errors; "
          "addresses "
          "and routes are put back.",
          "[]", "[eth1]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_links(v, c.health.remediation.reset_links, p); },
          [](const Config& c) { return show(c.health.remediation.reset_links); }},
      Key{"health.remediation.restart_resolver", "unit", "The unit that is restarted with DNSUnavailable; empty: none.",
          "\"\"", "systemd-resolved.service", true, false,
          [](Config& c, const Value& v, Problems& p) { read_resolver(v, c.health.remediation.restart_resolver, p); },
          [](const Config& c) { return show(c.health.remediation.restart_resolver); }},
      Key{"health.remediation.cordon_for", "list of conditions",
          "Conditions for which the Node of the cluster is cordoned and tainted omnitide.io/unhealthy, until all of "
          "them "
          "are gone for five minutes.",
          "[]", "[KernelDeadlock]", true, false,
          [](Config& c, const Value& v, Problems& p) { read_conditions(v, c.health.remediation.cordon_for, p); },
          [](const Config& c) { return show(c.health.remediation.cordon_for); }},
      Key{"health.remediation.cordon_slots", "1 to 100",
          "How many nodes of the cluster may be cordoned so at a time; the same on all of them.", "", "", false, false,
          [](Config& c, const Value& v, Problems& p) { read_count(v, 1, 100, c.health.remediation.cordon_slots, p); },
          [](const Config& c) { return show(c.health.remediation.cordon_slots); }}};
}

}  // namespace omnitide::config
