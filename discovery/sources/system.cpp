// The operating system and how it was booted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/command_line.hpp"
#include "discovery/sources/cpuinfo.hpp"
#include "discovery/sources/hypervisor.hpp"
#include "discovery/sources/os_release.hpp"
#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

namespace {

using model::SystemFacts;

constexpr model::MetricDescriptor kUptime{.name = "omnitide_uptime_seconds",
                                          .unit = "seconds",
                                          .help = "Time since the kernel was started, with time in suspend.",
                                          .type = model::MetricType::gauge,
                                          .labels = {}};

void read_os(Reader& reader, SystemFacts& facts) {
  facts.hostname = reader.attribute("/proc/sys/kernel/hostname");
  facts.machine_id = reader.attribute("/etc/machine-id");
  facts.kernel_release = reader.attribute("/proc/sys/kernel/osrelease");
  facts.kernel_version = reader.attribute("/proc/sys/kernel/version");
  facts.boot_id = reader.attribute("/proc/sys/kernel/random/boot_id");
  facts.kernel_command_line = without_secrets(reader.attribute("/proc/cmdline"));
  std::optional<std::string> text = reader.file("/etc/os-release");
  if (!text) text = reader.file("/usr/lib/os-release");
  if (!text) return;
  OsRelease release = parse_os_release(*text);
  facts.os_id = std::move(release.id);
  facts.os_version_id = std::move(release.version_id);
  facts.os_name = std::move(release.pretty_name);
}

// An EFI variable's file is four bytes of attributes, then the value (Documentation/filesystems/efivarfs.rst);
// SecureBoot's value is one byte (UEFI specification, section "Globally Defined Variables").
void read_secure_boot(Reader& reader, SystemFacts& facts) {
  const std::string path = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
  const std::optional<std::string> bytes = reader.file(path, 64);
  if (!bytes) return;
  if (bytes->size() != 5) return reader.problem(fmt::format("{} has {} bytes instead of 5", path, bytes->size()));
  facts.secure_boot = bytes->back() == '\1';
}

// "none [integrity] confidentiality": the one in brackets is in force.
void read_lockdown(Reader& reader, SystemFacts& facts) {
  const std::string text = reader.attribute("/sys/kernel/security/lockdown");
  const std::size_t open = text.find('[');
  const std::size_t close = text.find(']', open);
  if (open != std::string::npos && close != std::string::npos) facts.lockdown = text.substr(open + 1, close - open - 1);
}

// systemd's private library carries the version in its name, "libsystemd-shared-252.so": in /usr/lib/systemd, or
// below the folder of the architecture. This is what is installed, which may be newer than what runs until a re-exec.
std::string installed_systemd_version(Reader& reader, std::string_view architecture) {
  const std::array<std::string, 4> folders{"/usr/lib/systemd",
                                           fmt::format("/usr/lib/{}-linux-gnu/systemd", architecture),
                                           "/usr/lib64/systemd", "/lib/systemd"};
  constexpr std::string_view kPrefix = "libsystemd-shared-";
  constexpr std::string_view kSuffix = ".so";
  for (const std::string& folder : folders) {
    for (const std::string& name : reader.names(folder)) {
      if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix) || name.size() > 128) continue;
      return name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    }
  }
  return {};
}

// Every folder of the unified hierarchy has cgroup.controllers; of version 1, cgroup.procs.
std::string cgroup_mode(Reader& reader) {
  const Root& root = reader.root();
  if (root.exists("/sys/fs/cgroup/cgroup.controllers")) return "unified";
  if (root.exists("/sys/fs/cgroup/unified/cgroup.controllers")) return "hybrid";
  const std::vector<std::string> names = reader.names("/sys/fs/cgroup");
  const bool legacy = std::any_of(names.begin(), names.end(), [&root](const std::string& name) {
    return root.exists(fmt::format("/sys/fs/cgroup/{}/cgroup.procs", name));
  });
  return legacy ? "legacy" : "";
}

// Where container managers say that they run us: systemd's container interface, podman, docker. An image that was
// unpacked for a virtual machine may carry such a file too, but that machine's processes are in the kernel's first PID
// namespace, whose number is fixed (include/linux/proc_ns.h, PROC_PID_INIT_INO).
bool in_container(const Root& root) {
  if (root.link_target("/proc/self/ns/pid") == "pid:[4026531836]") return false;
  return root.exists("/run/systemd/container") || root.exists("/run/.containerenv") || root.exists("/.dockerenv");
}

std::string virtualization(Reader& reader) {
  if (in_container(reader.root())) return "container";
  bool x86 = false;
  bool flagged = false;
#if defined(__x86_64__) || defined(__i386__)
  const bool ask_cpu = reader.root().is_machine();
#else
  const bool ask_cpu = false;
#endif
  if (ask_cpu) {
    x86 = true;
    flagged = cpuid_says_virtual();
  } else if (const std::optional<Reader::Head> text = reader.head("/proc/cpuinfo", 16U << 10U)) {
    const Cpuinfo info = parse_cpuinfo(text->text, text->truncated);
    x86 = info.has_flag("fpu");
    flagged = info.has_flag("hypervisor");
  }
  return detect_hypervisor(reader, x86, flagged).empty() ? "none" : "vm";
}

void read_boot(Reader& reader, SystemFacts& facts) {
  read_secure_boot(reader, facts);
  read_lockdown(reader, facts);
  facts.device_tree_model = reader.attribute("/sys/firmware/devicetree/base/model");
  facts.cgroup_mode = cgroup_mode(reader);
  facts.virtualization = virtualization(reader);
  facts.has_battery_clock = !reader.names("/sys/class/rtc").empty();
  if (reader.root().exists("/run/systemd/system")) {  // sd_booted(3)
    std::string architecture = reader.attribute("/proc/sys/kernel/arch");
#if defined(__x86_64__)
    if (architecture.empty()) architecture = "x86_64";
#elif defined(__aarch64__)
    if (architecture.empty()) architecture = "aarch64";
#endif
    facts.systemd_version = installed_systemd_version(reader, architecture);
  }
}

// "353467.21 672911.03": seconds since boot, seconds of idle CPUs.
void read_uptime(Reader& reader, std::vector<model::Sample>& samples) {
  const std::string text = reader.attribute("/proc/uptime");
  if (text.empty()) return;
  double seconds = 0;
  const auto [end, problem] =
      std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (problem != std::errc{} || seconds < 0) return reader.malformed("/proc/uptime", text);
  samples.push_back({&kUptime, {}, seconds});
}

Result<Report> read_system(const Root& root) {
  Reader reader(root);
  Report report;
  SystemFacts facts;
  read_os(reader, facts);
  read_boot(reader, facts);
  read_uptime(reader, report.samples);
  report.patch = [facts = std::move(facts)](model::NodeFacts& node) {
    SystemFacts& to = node.system;
    to.hostname = facts.hostname;
    to.machine_id = facts.machine_id;
    to.os_id = facts.os_id;
    to.os_version_id = facts.os_version_id;
    to.os_name = facts.os_name;
    to.kernel_release = facts.kernel_release;
    to.kernel_version = facts.kernel_version;
    to.boot_id = facts.boot_id;
    to.kernel_command_line = facts.kernel_command_line;
    to.device_tree_model = facts.device_tree_model;
    to.secure_boot = facts.secure_boot;
    to.lockdown = facts.lockdown;
    to.systemd_version = facts.systemd_version;
    to.cgroup_mode = facts.cgroup_mode;
    to.virtualization = facts.virtualization;
    to.has_battery_clock = facts.has_battery_clock;
  };
  report.problems = std::move(reader).take_problems();
  return report;
}

}  // namespace

Source system_source() {
  return {.name = "system",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {"rtc"},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_system};
}

}  // namespace omnitide::discovery
