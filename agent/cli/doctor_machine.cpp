#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/cli/doctor.hpp"

namespace omnitide::cli {

namespace {

struct Capability {
  unsigned bit;
  std::string_view name, use;
};
// linux/capability.h
constexpr std::array<Capability, 4> kWanted{{{2, "CAP_DAC_READ_SEARCH", "SMBIOS tables"},
                                             {12, "CAP_NET_ADMIN", "network programs"},
                                             {38, "CAP_PERFMON", "tracing"},
                                             {39, "CAP_BPF", "eBPF"}}};
constexpr unsigned kSysAdmin = 21;

bool has(std::uint64_t capabilities, unsigned bit) { return ((capabilities >> bit) & 1U) != 0; }

std::pair<unsigned, unsigned> kernel_version(std::string_view release) {
  const std::vector<std::string_view> parts = split(release, '.');
  const auto number = [](std::string_view text) {
    return parse_number<unsigned>(text.substr(0, text.find_first_not_of("0123456789"))).value_or(0);
  };
  return {number(parts[0]), parts.size() > 1 ? number(parts[1]) : 0};
}

Check privileges(const MachineState& state) {
  std::vector<std::string> missing;
  for (const Capability& wanted : kWanted) {
    const bool covered =
        has(state.capabilities, wanted.bit) || (wanted.bit >= 38 && has(state.capabilities, kSysAdmin));
    if (!covered) missing.push_back(fmt::format("{} ({})", wanted.name, wanted.use));
  }
  const std::string who = state.uid == 0 ? "root" : fmt::format("user {}", state.uid);
  if (missing.empty()) return {"privileges", Outcome::ok, who + " with all capabilities that are used", ""};
  return {"privileges", Outcome::warning, fmt::format("{} without {}", who, join(missing, ", ")),
          state.uid == 0 ? "give the service these capabilities" : "run it with sudo to see all that the agent sees"};
}

Check kernel(const MachineState& state) {
  if (kernel_version(state.kernel_release) >= std::pair{5U, 10U}) {
    return {"kernel", Outcome::ok, "Linux " + state.kernel_release, ""};
  }
  return {"kernel", Outcome::warning, fmt::format("Linux {} is older than 5.10", state.kernel_release),
          "discovery and registration work; eBPF parts need 5.10 or newer"};
}

Check btf(const Root& root) {
  if (root.exists("/sys/kernel/btf/vmlinux")) return {"BTF", Outcome::ok, "the kernel describes its types", ""};
  return {"BTF", Outcome::warning, "/sys/kernel/btf/vmlinux is not there",
          "use a kernel with CONFIG_DEBUG_INFO_BTF for the eBPF parts"};
}

struct Mount {
  std::string_view point, type;
};

// proc_pid_mountinfo(5): "... ROOT MOUNT-POINT OPTIONS [TAGS] - TYPE SOURCE OPTIONS".
std::vector<Mount> mounts_of(std::string_view mountinfo) {
  std::vector<Mount> out;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> words = split_words(line);
    const auto dash = std::ranges::find(words, std::string_view("-"));
    if (words.size() > 5 && dash != words.end() && dash + 1 != words.end()) out.push_back({words[4], *(dash + 1)});
  }
  return out;
}

bool mounted(const std::vector<Mount>& mounts, std::string_view type, std::string_view point) {
  return std::ranges::any_of(mounts, [&](const Mount& mount) { return mount.type == type && mount.point == point; });
}

Checks filesystems(const std::vector<Mount>& mounts) {
  Checks out;
  if (mounted(mounts, "bpf", "/sys/fs/bpf")) {
    out.push_back({"bpffs", Outcome::ok, "mounted at /sys/fs/bpf", ""});
  } else {
    out.push_back({"bpffs", Outcome::warning, "not mounted at /sys/fs/bpf: eBPF objects cannot outlive the agent",
                   "mount -t bpf bpf /sys/fs/bpf"});
  }
  if (mounted(mounts, "tracefs", "/sys/kernel/tracing") || mounted(mounts, "tracefs", "/sys/kernel/debug/tracing")) {
    out.push_back({"tracefs", Outcome::ok, "mounted", ""});
  } else {
    out.push_back({"tracefs", Outcome::warning, "not mounted: classic tracepoints cannot be used",
                   "mount -t tracefs tracefs /sys/kernel/tracing"});
  }
  if (mounted(mounts, "cgroup2", "/sys/fs/cgroup")) {
    out.push_back({"cgroups", Outcome::ok, "unified (version 2)", ""});
  } else if (std::ranges::any_of(mounts, [](const Mount& mount) { return mount.type == "cgroup2"; })) {
    out.push_back({"cgroups", Outcome::ok, "hybrid (version 1 with a version 2 tree beside it)", ""});
  } else {
    out.push_back(
        {"cgroups", Outcome::warning, "no version 2 tree is mounted", "boot with systemd.unified_cgroup_hierarchy=1"});
  }
  return out;
}

Check memlock(const MachineState& state) {
  // Since 5.11 eBPF memory is charged to the cgroup, not to this limit.
  constexpr std::uint64_t kEnough = 64U << 20U;
  if (kernel_version(state.kernel_release) >= std::pair{5U, 11U})
    return {"memlock", Outcome::ok, "not a limit for eBPF on this kernel", ""};
  if (state.memlock_limit >= kEnough) return {"memlock", Outcome::ok, human_bytes(state.memlock_limit), ""};
  return {"memlock", Outcome::warning,
          fmt::format("the limit is {}, and before Linux 5.11 eBPF maps count against it",
                      human_bytes(state.memlock_limit)),
          "set LimitMEMLOCK=infinity in the unit"};
}

Check init(const Root& root) {
  if (root.exists("/run/systemd/system")) return {"systemd", Outcome::ok, "is the init", ""};
  return {"systemd", Outcome::warning, "is not the init: no watchdog, no journal fields, no restart of units",
          "run the agent under another supervisor that restarts it"};
}

Checks clocks(const MachineState& state) {
  Checks out;
  if (state.now < state.built) {
    out.push_back({"clock", Outcome::problem,
                   fmt::format("says {}, which is before this program was built ({})", format_rfc3339(state.now),
                               format_rfc3339(state.built)),
                   "set the clock; until then certificates are judged at the newest time that is known"});
  } else {
    out.push_back({"clock", Outcome::ok, format_rfc3339(state.now), ""});
  }
  if (state.clock_synchronised) {
    out.push_back({"time synchronisation", Outcome::ok, "the kernel's clock is synchronised", ""});
  } else {
    out.push_back({"time synchronisation", Outcome::warning, "the kernel's clock is not synchronised",
                   "run chrony or systemd-timesyncd"});
  }
  return out;
}

struct Engine {
  std::string_view mark, name;
};
constexpr std::array<Engine, 7> kEngines{{{"cilium", "Cilium"},
                                          {"calico", "Calico"},
                                          {"antrea", "Antrea"},
                                          {"weave", "Weave Net"},
                                          {"kube-router", "kube-router"},
                                          {"romana", "Romana"},
                                          {"canal", "Canal"}}};

void note_engines(std::string_view text, const std::string& where, std::vector<std::string>& found) {
  const std::string lower = to_lower(text);
  for (const Engine& engine : kEngines) {
    if (lower.find(engine.mark) != std::string::npos) found.push_back(fmt::format("{} ({})", engine.name, where));
  }
}

Check policy_engines(const Root& root) {
  std::vector<std::string> found;
  for (const char* folder : {"/sys/fs/bpf", "/sys/fs/bpf/tc", "/sys/fs/bpf/tc/globals"}) {
    for (const std::string& name : root.names(folder))
      note_engines(name, fmt::format("{}/{}", folder, printable(name, 80)), found);
  }
  for (const std::string& name : root.names("/etc/cni/net.d")) {
    if (!name.ends_with(".conf") && !name.ends_with(".conflist")) continue;
    const std::string path = "/etc/cni/net.d/" + name;
    if (const Result<std::string> text = root.read(path); text.has_value())
      note_engines(*text, printable(path, 120), found);
  }
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  if (found.empty()) return {"policy engines", Outcome::ok, "no other network policy engine is on this node", ""};
  if (found.size() > 6) found.resize(6);
  return {"policy engines", Outcome::warning, join(found, ", "),
          "let only one of them enforce: two sets of rules both apply, and the stricter one wins"};
}

}  // namespace

MachineState MachineState::read() {
  MachineState out;
  out.uid = ::geteuid();
  if (const Result<Root> root = Root::open("/"); root.has_value()) {
    const Result<std::string> status = root->read("/proc/self/status");
    for (const std::string_view line : split(status.has_value() ? *status : std::string{}, '\n')) {
      if (line.starts_with("CapEff:"))
        out.capabilities = parse_number<std::uint64_t>(trim(line.substr(7)), 16).value_or(0);
    }
  }
  utsname names{};
  if (::uname(&names) == 0) out.kernel_release = names.release;
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) out.memlock_limit = limit.rlim_cur;
  timex clock{};
  out.clock_synchronised = ::adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
  out.now = wall_now();
  out.built = build_time();
  return out;
}

Checks check_machine(const Root& root, const MachineState& state) {
  Checks out{privileges(state), kernel(state), btf(root)};
  const Result<std::string> mountinfo = root.read("/proc/self/mountinfo", 4U << 20U);
  if (mountinfo.has_value()) {
    Checks mounts = filesystems(mounts_of(*mountinfo));
    std::ranges::move(mounts, std::back_inserter(out));
  } else {
    out.push_back({"mounts", Outcome::warning, mountinfo.error().message, "mount /proc"});
  }
  out.push_back(memlock(state));
  out.push_back(init(root));
  Checks time = clocks(state);
  std::ranges::move(time, std::back_inserter(out));
  out.push_back(policy_engines(root));
  return out;
}

}  // namespace omnitide::cli
