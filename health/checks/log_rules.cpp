#include "health/checks/log_rules.hpp"

#include <algorithm>
#include <utility>

namespace omnitide::health {

namespace {

struct Row {
  const char* condition;  // empty: an event
  const char* reason;
  const char* pattern;
};

// Texts of the kernel's own printk calls; the file is named where it is not plain.
constexpr Row kKernelRows[] = {
    {"", "OOMKilling", R"(Killed process \d+ \(.*)"},                          // mm/oom_kill.c
    {"", "TaskHung", R"(task .+:\d+ blocked for more than \d+ seconds\..*)"},  // kernel/hung_task.c
    {"", "KernelOops", R"(BUG: unable to handle .*)"},
    {"", "KernelOops", R"(Oops: .*)"},
    {"", "KernelOops", R"(general protection fault.*)"},
    {"", "KernelOops", R"(divide error: .*)"},
    {"", "KernelOops", R"(kernel BUG at .*)"},
    {"", "Ext4Error", R"(EXT4-fs error \(device .*)"},
    {"", "Ext4Warning", R"(EXT4-fs warning \(device .*)"},
    {"", "IOError", R"(I/O error, dev \S+, sector \d+.*)"},
    {"", "IOError", R"(Buffer I/O error on dev .*)"},
    {"", "MemoryReadError", R"(CE memory read error.*)"},
    {"", "UnregisterNetDevice", R"(unregister_netdevice: waiting for \S+ to become free.*)"},
    {"", "NetworkTransmitTimeout", R"(NETDEV WATCHDOG: .*)"},
    {"", "ConntrackFull", R"(nf_conntrack: .*table full, dropping packet.*)"},
    {"", "CpuThrottled", R"(temperature above threshold, cpu clock throttled.*)"},
    {"KernelDeadlock", "SoftLockup", R"(BUG: soft lockup - CPU#\d+ stuck for .*)"},
    {"KernelDeadlock", "HardLockup", R"(Watchdog detected hard LOCKUP on cpu .*)"},
    {"KernelDeadlock", "RcuStall", R"(rcu: INFO: rcu_\w+ .*detected .*stall.*)"},
    {"KernelDeadlock", "SystemTaskHung",
     R"(task (?:systemd|dockerd?|containerd|kubelet):\d+ blocked for more than \d+ seconds\..*)"},
    {"ReadonlyFilesystem", "FilesystemIsReadOnly", R"(Remounting filesystem read-only.*)"},
    {"ReadonlyFilesystem", "FilesystemIsReadOnly", R"(BTRFS.*: forced readonly.*)"},
    {"XfsShutdown", "XfsHasShutdown", R"(XFS \(.*\): .*[Ss]hutting down filesystem.*)"},
    {"CperHardwareErrorFatal", "CperHardwareErrorFatal", R"(\[Hardware Error\]: event severity: fatal.*)"},
};

Finding nothing_told(const char* condition, const char* reason, const char* message) {
  return {.condition = condition,
          .check = {},
          .verdict = Verdict::good,
          .reason = reason,
          .message = message,
          .evidence = {}};
}

}  // namespace

LogRules default_kernel_rules() {
  LogRules out;
  out.source = "kernel-log";
  out.defaults = {
      nothing_told("KernelDeadlock", "KernelHasNoDeadlock", "the kernel has told of no deadlock"),
      nothing_told("ReadonlyFilesystem", "FilesystemIsNotReadOnly", "the kernel has remounted nothing read-only"),
      nothing_told("XfsShutdown", "XfsHasNotShutDown", "no XFS filesystem was shut down"),
      nothing_told("CperHardwareErrorFatal", "CperHardwareHasNoFatalError",
                   "the firmware has told of no fatal hardware error")};
  for (const Row& row : kKernelRows)
    out.rules.push_back({*row.condition != '\0', row.condition, row.reason, LogPattern(row.pattern)});
  return out;
}

LogMatcher::LogMatcher(std::vector<LogRules> rules) : rules_(std::move(rules)) {
  for (const LogRules& source : rules_) {
    for (const LogRule& rule : source.rules) {
      if (!rule.pattern.several_lines()) continue;
      several_ = true;
      most_lines_ = std::max(most_lines_, std::min(source.buffer_lines, kMostBufferLines));
    }
  }
}

std::vector<LogHit> LogMatcher::take(std::string line) {
  if (line.size() > kLongestLine) line.resize(kLongestLine);
  lines_.push_back(std::move(line));
  while (lines_.size() > most_lines_)
    lines_.pop_front();
  const std::string& last = lines_.back();
  std::vector<LogHit> out;
  for (const LogRules& source : rules_) {
    std::string joined;
    if (several_) {
      const std::size_t first = lines_.size() - std::min(lines_.size(), std::max<std::size_t>(source.buffer_lines, 1));
      for (std::size_t i = first; i < lines_.size(); ++i)
        joined.append(i == first ? "" : "\n").append(lines_[i]);
    }
    const std::string_view lines = several_ ? std::string_view(joined) : std::string_view(last);
    for (const LogRule& rule : source.rules)
      if (rule.pattern.matches(lines, last)) out.push_back({&rule, &source, last});
  }
  return out;
}

}  // namespace omnitide::health
