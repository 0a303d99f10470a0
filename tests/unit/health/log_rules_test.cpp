// Lines of the kernel's log become events and conditions by rules, with node-problem-detector's meaning.
#include "health/checks/log_rules.hpp"

#include <algorithm>
#include <chrono>

#include "health/checks/kernel_record.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using health::LogMatcher;
using health::LogPattern;
using health::LogRule;
using health::LogRules;

namespace {

std::vector<std::string> reasons(const std::vector<health::LogHit>& hits) {
  std::vector<std::string> out;
  for (const health::LogHit& hit : hits)
    out.push_back(hit.rule->condition.empty() ? hit.rule->reason : hit.rule->condition + "/" + hit.rule->reason);
  return out;
}

LogMatcher matcher_of(std::vector<std::string> patterns, std::size_t lines = 10) {
  LogRules rules{.origin = {}, .source = "test", .buffer_lines = lines, .defaults = {}, .rules = {}};
  for (std::string& pattern : patterns)
    rules.rules.push_back({false, "", "Hit", LogPattern(std::move(pattern))});
  return LogMatcher({std::move(rules)});
}

}  // namespace

TEST_CASE("a record of /dev/kmsg is taken apart, and what is none is refused") {
  const auto record =
      health::parse_kernel_record("30,17592,5140900123,-;usb 1-1: caf\\xc3\\xa9 \\x5c\n SUBSYSTEM=usb\n");
  REQUIRE(record);
  REQUIRE(record->level == 6);
  REQUIRE(record->facility == 3);
  REQUIRE(record->sequence == 17592);
  REQUIRE(record->time == std::chrono::microseconds(5140900123));
  REQUIRE(record->text == "usb 1-1: caf\xc3\xa9 \\");
  for (const char* bad : {"", ";", "6,1;x", "a,1,2,-;x", "6,-1,2,-;x", "no record"})
    REQUIRE_FALSE(health::parse_kernel_record(bad));
}

TEST_CASE("the kernel's own words of each known kind are known") {
  const std::vector<std::pair<const char*, const char*>> lines{
      {"Out of memory: Killed process 4711 (java) total-vm:8192kB, anon-rss:4096kB, file-rss:0kB, shmem-rss:0kB",
       "OOMKilling"},
      {"Memory cgroup out of memory: Killed process 12 (a b) total-vm:1kB, anon-rss:1kB, file-rss:1kB", "OOMKilling"},
      {"INFO: task kworker/u8:2:1234 blocked for more than 120 seconds.", "TaskHung"},
      {"BUG: unable to handle page fault for address: ffff88", "KernelOops"},
      {"BUG: unable to handle kernel NULL pointer dereference at 0000000000000010", "KernelOops"},
      {"Oops: 0002 [#1] SMP PTI", "KernelOops"},
      {"divide error: 0000 [#1] SMP", "KernelOops"},
      {"EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0", "Ext4Error"},
      {"EXT4-fs warning (device sda1): ext4_end_bio:330: I/O error 10 writing to inode 3", "Ext4Warning"},
      {"blk_update_request: I/O error, dev sdb, sector 2048 op 0x0:(READ) flags 0x0", "IOError"},
      {"Buffer I/O error on dev sdb1, logical block 0, async page read", "IOError"},
      {"EDAC sbridge MC0: CE memory read error on CPU_SrcID#0_Ha#0_Chan#1_DIMM#0", "MemoryReadError"},
      {"unregister_netdevice: waiting for lo to become free. Usage count = 1", "UnregisterNetDevice"},
      {"NETDEV WATCHDOG: eth0 (e1000e): transmit queue 0 timed out", "NetworkTransmitTimeout"},
      {"nf_conntrack: nf_conntrack: table full, dropping packet", "ConntrackFull"},
      {"watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [kworker:12]", "KernelDeadlock/SoftLockup"},
      {"rcu: INFO: rcu_preempt self-detected stall on CPU", "KernelDeadlock/RcuStall"},
      {"EXT4-fs (sda1): Remounting filesystem read-only", "ReadonlyFilesystem/FilesystemIsReadOnly"},
      {"XFS (sdc1): Log I/O Error Detected. Shutting down filesystem", "XfsShutdown/XfsHasShutdown"},
      {"XFS (sdc1): metadata I/O error; shutting down filesystem", "XfsShutdown/XfsHasShutdown"},
      {"{1}[Hardware Error]: event severity: fatal", "CperHardwareErrorFatal/CperHardwareErrorFatal"}};
  LogMatcher matcher({health::default_kernel_rules()});
  for (const auto& [line, reason] : lines) {
    INFO(line);
    REQUIRE(reasons(matcher.take(line)) == std::vector<std::string>{reason});
    REQUIRE(matcher.take("usb 1-1: new high-speed USB device number 2 using xhci_hcd").empty());
  }
  REQUIRE(reasons(matcher.take("INFO: task containerd:99 blocked for more than 120 seconds.")) ==
          std::vector<std::string>{"TaskHung", "KernelDeadlock/SystemTaskHung"});
  REQUIRE(matcher.take("{1}[Hardware Error]: event severity: corrected").empty());
}

TEST_CASE("every rule of the agent's own is a valid expression, has a text to look for, and its condition a default") {
  const LogRules rules = health::default_kernel_rules();
  for (const LogRule& rule : rules.rules) {
    INFO(rule.pattern.text());
    REQUIRE(LogPattern::check(rule.pattern.text()));
    REQUIRE(rule.pattern.literal().size() >= 5);
    REQUIRE_FALSE(rule.pattern.several_lines());
    if (rule.permanent)
      REQUIRE(std::ranges::find(rules.defaults, rule.condition, &health::Finding::condition) != rules.defaults.end());
  }
}

TEST_CASE("the text that every match has never hides a match") {
  // Pattern, the text looked for, a line that matches.
  const std::vector<std::array<const char*, 3>> rows{{R"(ab*c)", "a", "ac"},
                                                     {R"(abc?)", "ab", "ab"},
                                                     {R"(x{0,2}yz)", "yz", "yz"},
                                                     {R"((foo)?bar)", "bar", "bar"},
                                                     {R"(a|bcd)", "", "bcd"},
                                                     {R"(task (?:a|b): [x|y]z)", "task ", "task b: yz"},
                                                     {R"(\[Hardware\]: \d+)", "[Hardware]: ", "[Hardware]: 5"},
                                                     {R"([a-z]]+x.y)", "x", "a]]xzy"},
                                                     {R"((?i)ERROR)", "", "error"},
                                                     {R"(a(b(c)d)e)", "a", "abcde"},
                                                     {R"([]x]end)", "end", "]end"},
                                                     {R"(\Qa*b\E)", "", "a*b"}};
  for (const auto& [pattern, literal, line] : rows) {
    INFO(pattern);
    REQUIRE(LogPattern(pattern).literal() == literal);
    REQUIRE(LogPattern(pattern).matches(line, line));
  }
}

TEST_CASE("a match ends with the last line, and may begin some lines before it") {
  LogMatcher matcher = matcher_of({R"(first\s+second)", R"(second)", R"(alone$)"}, 3);
  REQUIRE(matcher.take("first").empty());
  REQUIRE(matcher.take("second").size() == 2);
  REQUIRE(matcher.take("second and more").empty());  // does not end there
  REQUIRE(matcher.take("all alone").size() == 1);
  // Only as many lines as the buffer has, and none from before a gap.
  LogMatcher spanning = matcher_of({R"(begin[^!]*end)"}, 3);
  REQUIRE(spanning.take("begin").empty());
  REQUIRE(spanning.take("middle").empty());
  REQUIRE(spanning.take("end").size() == 1);
  REQUIRE(spanning.take("end").empty());
  REQUIRE(spanning.take("begin").empty());
  spanning.interrupted();
  REQUIRE(spanning.take("end").empty());
}

TEST_CASE("patterns that are none, or would cost too much, are refused with a reason") {
  REQUIRE(LogPattern::check(R"(Killed process \d+)"));
  for (const std::string& bad : {std::string("a("), std::string("[z-a]"), std::string(R"(\1)"), std::string("(?=x)"),
                                 std::string(), std::string(2000, 'a'), std::string("((a{1000}){1000})")})
    REQUIRE_FALSE(LogPattern::check(bad));
  REQUIRE(LogPattern::check("a(").error().hint.find("RE2") != std::string::npos);
}

TEST_CASE("a line made to be slow costs linear time") {
  LogMatcher matcher = matcher_of({R"((x+x+)+y)", R"((a*)*b)"});
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(matcher.take(std::string(100'000, 'x')).empty());  // also cut at the longest line
  REQUIRE(matcher.take(std::string(8000, 'a')).empty());
  REQUIRE(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}
