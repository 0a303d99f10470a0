#include "agent/cli/health_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/cli/session.hpp"
#include "agent/codec/time.hpp"
#include "omnitide/node/v1/health.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

std::string ago(const google::protobuf::Timestamp& time, WallTime now) {
  return short_duration(std::max(now - codec::time_of(time), std::chrono::milliseconds{0}));
}

std::pair<std::string, Style> word(v1::ConditionStatus status) {
  if (status == v1::CONDITION_STATUS_TRUE) return {"true", Style::bad};
  if (status == v1::CONDITION_STATUS_FALSE) return {"false", Style::good};
  return {"unknown", Style::dim};
}

Style style(const std::string& verdict) {
  return verdict == "bad" ? Style::bad : verdict == "good" ? Style::good : Style::dim;
}

std::string evidence(const v1::HealthCheck& check) {
  std::string out;
  for (const v1::HealthEvidence& each : check.evidence())
    out += fmt::format("{}{}: {}", out.empty() ? "" : ", ", each.name(), each.value());
  return printable(out);
}

std::string remedy_line(const v1::HealthRemedy& remedy) {
  const std::string about = remedy.subject().empty() ? remedy.condition() : remedy.subject();
  std::string out = fmt::format("{}: ", printable(about));
  if (remedy.next().empty()) return out + fmt::format("tried {}, nothing is left to do\n", remedy.tried());
  out += fmt::format("tried {}, next {}", remedy.tried(), printable(remedy.next()));
  const std::chrono::milliseconds wait(static_cast<std::int64_t>(remedy.wait_seconds() * 1000));
  if (wait.count() > 0)
    out += fmt::format(" in {}", short_duration(std::max(wait, std::chrono::milliseconds{1000})));
  else if (!remedy.not_now().empty())
    out += fmt::format(", not now: {}", printable(remedy.not_now()));
  return out + "\n";
}

std::string remediation(const v1::HealthStatus& status, WallTime now, const Console& console) {
  std::string out = "Remedies: ";
  if (!status.remediation())
    out += "off (health.remediation.enabled)";
  else if (status.locked())
    out += console.paint(fmt::format("locked by {}", printable(status.lock_file())), Style::warning);
  else if (status.paused())
    out += console.paint(status.has_paused_until()
                             ? fmt::format("paused for {}", short_duration(codec::time_of(status.paused_until()) - now))
                             : std::string("paused until resumed"),
                         Style::warning);
  else
    out += status.dry_run() ? "dry run" : "on";
  out += fmt::format(", {} of {} actions of the last day\n", status.actions(), status.actions_limit());
  for (const v1::HealthRemedy& remedy : status.remedies())
    if (remedy.present()) out += "  " + remedy_line(remedy);
  return out;
}

std::string kernel_log(const v1::HealthStatus& status) {
  if (!status.has_kernel_log()) return "Kernel log: off (health.kernel_log)\n";
  const v1::HealthKernelLog& log = status.kernel_log();
  if (!log.reading()) return fmt::format("Kernel log: not read: {}\n", printable(log.problem()));
  return fmt::format("Kernel log: {} rules, {} lines, {} hits, {} lost\n", log.rules(), log.lines(), log.hits(),
                     log.lost());
}

std::string other_logs(const v1::HealthStatus& status) {
  std::string out;
  for (const v1::HealthLog& log : status.logs())
    out += log.reading() ? fmt::format("{}: {} rules, {} lines, {} hits\n", printable(log.log()), log.rules(),
                                       log.lines(), log.hits())
                         : printable(log.problem().empty() ? log.log() + " is being opened" : log.problem()) + "\n";
  return out;
}

// What an operator can do about a condition, where there is something worth saying.
std::string_view advice(std::string_view condition) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 21> kAdvice{{
      {"DiskPressure", "find what fills it: du -xh --max-depth=2 MOUNTPOINT | sort -h; journalctl --vacuum-size=200M"},
      {"ReadonlyFilesystem", "look for the cause in dmesg, check the device (smartctl -a), then fsck and remount"},
      {"FilesystemErrors", "unmount the filesystem and run fsck; copy its data first when the device fails"},
      {"MemoryPressure", "find who holds it: ps aux --sort=-rss | head; systemd-cgtop -m"},
      {"PIDPressure", "find who has them: ps -eLo user,comm | sort | uniq -c | sort -n | tail"},
      {"FileDescriptorPressure", "find who has them: ls /proc/*/fd | wc, lsof; raise fs.file-max"},
      {"ConntrackPressure", "raise net.netfilter.nf_conntrack_max, or find who opens so many: conntrack -S"},
      {"NetworkUnavailable", "look at ip route and ip link, and at the service that sets them"},
      {"DNSUnavailable", "look at /etc/resolv.conf and who writes it: resolvectl status"},
      {"NetworkDegraded", "check cable, port and speed: ethtool DEVICE, ethtool -S DEVICE"},
      {"NTPProblem", "look at the time service: timedatectl timesync-status, chronyc tracking"},
      {"MemoryErrors", "replace the memory module: ras-mc-ctl --error-count, edac-util -v"},
      {"DiskWear", "copy its data and replace the disk: smartctl -a /dev/DEVICE, nvme smart-log /dev/DEVICE"},
      {"TemperatureHigh", "check fans, dust and the place of the device: sensors"},
      {"RegistryUnreachable",
       "see what is tried and why it fails: omnitide-agent status; then the network, and the registry"},
      {"CertificateExpiring", "see why it is not renewed: omnitide-agent status, the registry's log"},
      {"KernelDeadlock", "save what the kernel said (dmesg), then restart the node"},
      {"XfsShutdown", "unmount the filesystem, look for the cause in dmesg, run xfs_repair"},
      {"SystemdUnitFailed", "see why: systemctl status UNIT, journalctl -u UNIT"},
      {"FrequentKubeletRestart", "see why it ends: journalctl -u kubelet.service; a node must have joined its cluster"},
      {"FrequentContainerdRestart", "see why it ends: journalctl -u containerd.service; containerd config dump"},
  }};
  const auto* found = std::ranges::find(kAdvice, condition, &std::pair<std::string_view, std::string_view>::first);
  return found == kAdvice.end() ? std::string_view{} : found->second;
}

Table history_table(const v1::HealthHistory& history, const std::string& about) {
  Table table({{"TIME (UTC)"}, {"KIND"}, {"SUBJECT"}, {"OUTCOME"}, {"REASON"}, {"MESSAGE", false, true}});
  for (const v1::HealthEvent& event : history.items()) {
    if (!about.empty() && event.subject() != about && event.reason() != about) continue;
    table.row({format_rfc3339(codec::time_of(event.time())).substr(0, 19), event.kind(), event.subject(),
               event.outcome(), event.reason(), event.message()});
  }
  return table;
}

}  // namespace

std::string health_text(const v1::HealthStatus& status, WallTime now, const Console& console) {
  Table conditions({{"CONDITION"}, {"STATUS"}, {"SINCE", true}, {"REASON"}, {"MESSAGE", false, true}});
  for (const v1::Condition& condition : status.conditions()) {
    const auto [text, shown] = word(condition.status());
    conditions.row(
        {condition.type(), Cell(text, shown), ago(condition.since(), now), condition.reason(), condition.message()});
  }
  std::string out = conditions.render(console) + "\n";
  out += remediation(status, now, console) + kernel_log(status) + other_logs(status);
  for (const std::string& problem : status.problems())
    out += console.paint(printable(problem), Style::warning) + "\n";
  return out;
}

std::string health_history_text(const v1::HealthHistory& history, const Console& console) {
  const Table table = history_table(history, {});
  return table.empty() ? std::string("Nothing has happened\n") : table.render(console);
}

Result<std::string> health_explanation(const std::string& condition, const v1::HealthStatus& status,
                                       const v1::HealthHistory& history, WallTime now, const Console& console) {
  const auto found =
      std::ranges::find_if(status.conditions(), [&condition](const auto& each) { return each.type() == condition; });
  if (found == status.conditions().end()) {
    std::vector<std::string> names;
    for (const v1::Condition& each : status.conditions())
      names.push_back(each.type());
    return fail(Code::not_found, fmt::format("there is no condition \"{}\"", printable(condition, 60)))
        .with_hint("there are " + join(names, ", "));
  }
  const auto [text, shown] = word(found->status());
  std::string out = fmt::format("{} is {} since {} ({} ago)\n{}: {}\n\n", console.paint(condition, Style::bold),
                                console.paint(text, shown), format_rfc3339(codec::time_of(found->since())),
                                ago(found->since(), now), found->reason(), printable(found->message()));
  Table checks({{"CHECK"}, {"VERDICT"}, {"SINCE", true}, {"SEEN", true}, {"REASON"}, {"WHAT WAS SEEN", false, true}});
  for (const v1::HealthCheck& check : status.checks()) {
    if (check.condition() != condition) continue;
    const std::string seen = evidence(check);
    checks.row({check.name(), Cell(check.verdict(), style(check.verdict())), ago(check.since(), now),
                ago(check.seen(), now), check.reason(), seen.empty() ? check.message() : seen});
  }
  out += checks.render(console);
  bool any = false;
  for (const v1::HealthRemedy& remedy : status.remedies()) {
    if (remedy.condition() != condition) continue;
    if (!std::exchange(any, true)) out += "\nWhat the agent does\n";
    std::vector<std::string> steps(remedy.steps().begin(), remedy.steps().end());
    out += fmt::format("  {}: {}\n", printable(remedy.subject().empty() ? condition : remedy.subject()),
                       printable(join(steps, ", then ")));
    if (remedy.present()) out += "  " + remedy_line(remedy);
    if (!remedy.held().empty()) out += fmt::format("  {}\n", printable(remedy.held()));
  }
  if (!any) out += "\nThe agent does nothing about it.\n";
  if (const std::string_view hint = advice(condition); !hint.empty()) out += fmt::format("\nYou can: {}\n", hint);
  if (const Table past = history_table(history, condition); !past.empty())
    out += "\nWhat happened\n" + past.render(console);
  return out;
}

}  // namespace omnitide::cli
