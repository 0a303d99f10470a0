// CPU facts: /proc/cpuinfo, /sys/devices/system/cpu and /sys/devices/system/node
// (Documentation/ABI/testing/sysfs-devices-system-cpu, Documentation/admin-guide/cputopology.rst).
#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "discovery/sources/catalogue.hpp"
#include "discovery/sources/cpu_level.hpp"
#include "discovery/sources/cpu_set.hpp"
#include "discovery/sources/cpuinfo.hpp"
#include "discovery/sources/hypervisor.hpp"
#include "discovery/sources/reader.hpp"

namespace omnitide::discovery {

namespace {

using model::CpuFacts;

constexpr std::string_view kCpu = "/sys/devices/system/cpu";
constexpr std::string_view kNode = "/sys/devices/system/node";
// Enough for about 170 x86 or 1000 Arm CPUs; what follows repeats the first block.
constexpr std::size_t kCpuinfoBytes = 256U << 10U;
constexpr unsigned kMaxCacheIndex = 16;
constexpr std::size_t kMaxNodes = 1024;  // the kernel's largest MAX_NUMNODES

constexpr std::array<std::string_view, 1> kCpuLabel{"cpu"};
constexpr model::MetricDescriptor kScalingFrequency{.name = "node_cpu_scaling_frequency_hertz",
                                                    .unit = "hertz",
                                                    .help = "Current scaled CPU thread frequency in hertz.",
                                                    .type = model::MetricType::gauge,
                                                    .labels = kCpuLabel};
constexpr model::MetricDescriptor kFrequency{.name = "node_cpu_frequency_hertz",
                                             .unit = "hertz",
                                             .help = "Current CPU thread frequency in hertz.",
                                             .type = model::MetricType::gauge,
                                             .labels = kCpuLabel};

std::string cpu_file(std::size_t cpu, std::string_view name) { return fmt::format("{}/cpu{}/{}", kCpu, cpu, name); }

std::string machine_architecture(Reader& reader, const Cpuinfo& info) {
  if (reader.root().is_machine()) {
    utsname name{};
    if (::uname(&name) == 0) return static_cast<const char*>(name.machine);
  }
  std::string architecture = reader.attribute("/proc/sys/kernel/arch");
  return architecture.empty() ? architecture_of(info) : architecture;
}

void read_identity(Reader& reader, const Cpuinfo& info, CpuFacts& facts) {
  facts.architecture = machine_architecture(reader, info);
  facts.microarch_level = microarch_level(info, facts.architecture);
  const bool x86 = info.has_flag("fpu");  // Arm says "fp"
  facts.hypervisor = detect_hypervisor(reader, x86, info.has_flag("hypervisor"));
  facts.vendor = info.vendor;
  facts.model = info.model;
  facts.family = info.family;
  facts.model_id = info.model_id;
  facts.stepping = info.stepping;
  facts.microcode = info.microcode;
  facts.flags = info.flags;
}

// An attribute in list form, restricted to CPUs that are online.
std::optional<CpuSet> cpu_list(Reader& reader, const std::string& path) {
  const std::string text = reader.attribute(path);
  if (text.empty()) return std::nullopt;
  std::optional<CpuSet> set = parse_cpu_list(text);
  if (!set) reader.malformed(path, text);
  return set;
}

// How many groups the online CPUs fall into. Each group's list is read once, at its first CPU. `name` is today's name
// of the attribute, `old_name` that before Linux 5.3. 0 when the kernel does not say.
std::uint32_t count_groups(Reader& reader, const CpuSet& online, std::string_view name, std::string_view old_name) {
  CpuSet seen;
  std::uint32_t groups = 0;
  for (std::size_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (!online[cpu] || seen[cpu]) continue;
    std::optional<CpuSet> group = cpu_list(reader, cpu_file(cpu, name));
    if (!group) group = cpu_list(reader, cpu_file(cpu, old_name));
    if (!group) return 0;
    seen |= *group;
    seen.set(cpu);
    ++groups;
  }
  return groups;
}

CpuSet read_topology(Reader& reader, const Cpuinfo& info, CpuFacts& facts) {
  std::optional<CpuSet> online = cpu_list(reader, fmt::format("{}/online", kCpu));
  if (!online || online->none()) {
    facts.threads = info.processors;
    facts.sockets = std::max(info.sockets, info.processors > 0 ? 1U : 0U);
    facts.cores = info.cores > 0 ? info.cores : info.processors;
    return {};
  }
  facts.threads = static_cast<std::uint32_t>(online->count());
  facts.cores = count_groups(reader, *online, "topology/core_cpus_list", "topology/thread_siblings_list");
  facts.sockets = count_groups(reader, *online, "topology/package_cpus_list", "topology/core_siblings_list");
  if (facts.cores == 0) facts.cores = info.cores > 0 ? info.cores : facts.threads;
  if (facts.sockets == 0) facts.sockets = std::max(info.sockets, 1U);
  const std::string smt = reader.attribute(fmt::format("{}/smt/active", kCpu));
  if (smt == "1" || smt == "0") facts.smt_active = smt == "1";
  if (smt.empty() && facts.cores > 0) facts.smt_active = facts.threads > facts.cores;
  return *online;
}

// "512K", "32768K", "8M".
std::optional<std::uint64_t> parse_size(std::string_view text) {
  unsigned shift = 0;
  if (text.ends_with('K')) shift = 10;
  if (text.ends_with('M')) shift = 20;
  if (text.ends_with('G')) shift = 30;
  if (shift != 0) text.remove_suffix(1);
  const std::optional<std::uint64_t> value = parse_number<std::uint64_t>(text);
  if (!value || *value > (std::uint64_t{1} << 33U)) return std::nullopt;
  return *value << shift;
}

struct CacheKey {
  std::uint32_t level;
  std::string type;
  std::uint64_t size;
  auto operator<=>(const CacheKey&) const = default;
};

struct CacheSum {
  std::uint32_t instances = 0;
  std::string example;
};

// One cache that CPUs share is read at the first of them only.
void read_caches(Reader& reader, const CpuSet& online, CpuFacts& facts) {
  std::array<CpuSet, kMaxCacheIndex> seen{};
  std::map<CacheKey, CacheSum> sums;
  for (std::size_t cpu = 0; cpu < kMaxCpus; ++cpu) {
    if (!online[cpu]) continue;
    for (unsigned index = 0; index < kMaxCacheIndex; ++index) {
      if (seen[index][cpu]) continue;
      const std::string at = cpu_file(cpu, fmt::format("cache/index{}", index));
      const std::optional<std::uint32_t> level = reader.number<std::uint32_t>(at + "/level");
      if (!level) break;  // indexes have no gaps
      const std::string shared = reader.attribute(at + "/shared_cpu_list");
      const std::optional<CpuSet> sharing = parse_cpu_list(shared);
      if (!sharing) reader.malformed(at + "/shared_cpu_list", shared);
      if (sharing) seen[index] |= *sharing;
      const std::string size_text = reader.attribute(at + "/size");
      const std::optional<std::uint64_t> size = parse_size(size_text);
      if (!size && !size_text.empty()) reader.malformed(at + "/size", size_text);
      CacheSum& sum = sums[CacheKey{*level, reader.attribute(at + "/type"), size.value_or(0)}];
      if (sum.instances++ == 0) sum.example = shared;
    }
  }
  for (auto& [key, sum] : sums) {
    facts.caches.push_back({.level = key.level,
                            .type = key.type,
                            .size_bytes = key.size,
                            .instances = sum.instances,
                            .shared_cpus_example = std::move(sum.example)});
  }
}

// "Node 0 MemTotal:       65796852 kB" in a node's meminfo, "MemTotal: ..." in the machine's; the first line of either.
std::uint64_t memory_total(Reader& reader, const std::string& path) {
  const std::string text = reader.file(path).value_or("");
  const std::vector<std::string_view> words = split_words(std::string_view(text).substr(0, text.find('\n')));
  if (words.size() < 3 || words[words.size() - 3] != "MemTotal:") return 0;
  const std::uint64_t kibibytes = parse_number<std::uint64_t>(words[words.size() - 2]).value_or(0);
  return kibibytes < (std::uint64_t{1} << 53U) ? kibibytes << 10U : 0;
}

void read_nodes(Reader& reader, CpuFacts& facts) {
  const std::string path = fmt::format("{}/online", kNode);
  const std::string text = reader.attribute(path);
  const std::optional<CpuSet> nodes = parse_cpu_list(text);
  if (!nodes) return reader.malformed(path, text);
  for (std::size_t id = 0; id < kMaxNodes; ++id) {
    if (!(*nodes)[id]) continue;
    // One node alone has all the memory. Its own meminfo grows while a kernel initialises pages as they are needed.
    const std::string meminfo =
        nodes->count() == 1 ? std::string("/proc/meminfo") : fmt::format("{}/node{}/meminfo", kNode, id);
    facts.numa_nodes.push_back({.id = static_cast<std::uint32_t>(id),
                                .cpus = reader.attribute(fmt::format("{}/node{}/cpulist", kNode, id)),
                                .memory_bytes = memory_total(reader, meminfo)});
  }
}

void read_frequencies(Reader& reader, const Cpuinfo& info, CpuFacts& facts, std::vector<model::Sample>& samples) {
  std::vector<std::string> governors;
  CpuSet scaled;
  for (const std::string& name : reader.names(fmt::format("{}/cpufreq", kCpu))) {
    if (!name.starts_with("policy")) continue;
    const std::string at = fmt::format("{}/cpufreq/{}", kCpu, name);
    const std::optional<std::uint64_t> low = reader.number<std::uint64_t>(at + "/cpuinfo_min_freq");
    const std::optional<std::uint64_t> high = reader.number<std::uint64_t>(at + "/cpuinfo_max_freq");
    if (low) facts.min_frequency_hertz = std::min(facts.min_frequency_hertz.value_or(*low * 1000), *low * 1000);
    if (high) facts.max_frequency_hertz = std::max(facts.max_frequency_hertz.value_or(0), *high * 1000);
    std::string governor = reader.attribute(at + "/scaling_governor");
    if (!governor.empty()) governors.push_back(std::move(governor));
    if (facts.frequency_driver.empty()) facts.frequency_driver = reader.attribute(at + "/scaling_driver");
    const std::optional<std::uint64_t> now = reader.number<std::uint64_t>(at + "/scaling_cur_freq");
    if (!now) continue;
    const std::string affected = reader.attribute(at + "/affected_cpus");
    for (const std::string_view word : split_words(affected)) {
      const std::optional<std::size_t> cpu = parse_number<std::size_t>(word);
      if (!cpu || *cpu >= kMaxCpus || scaled[*cpu]) continue;
      scaled.set(*cpu);
      samples.push_back({&kScalingFrequency, {std::to_string(*cpu)}, static_cast<double>(*now) * 1000});
    }
  }
  std::sort(governors.begin(), governors.end());
  governors.erase(std::unique(governors.begin(), governors.end()), governors.end());
  facts.governor = join(governors, ",");
  for (const auto& [cpu, hertz] : info.hertz) {
    if (cpu < kMaxCpus && !scaled[cpu]) samples.push_back({&kFrequency, {std::to_string(cpu)}, hertz});
  }
}

void read_vulnerabilities(Reader& reader, CpuFacts& facts) {
  const std::string folder = fmt::format("{}/vulnerabilities", kCpu);
  for (const std::string& name : reader.names(folder)) {
    model::CpuVulnerability entry{
        .name = printable(name, 128), .mitigation = reader.attribute(folder + "/" + name), .affected = false};
    std::string_view sentence = entry.mitigation;
    if (sentence.starts_with("KVM: ")) sentence.remove_prefix(5);  // itlb_multihit
    entry.affected = sentence.starts_with("Vulnerable") || sentence.starts_with("Mitigation");
    facts.vulnerabilities.push_back(std::move(entry));
  }
}

Result<Report> read_cpu(const Root& root) {
  Reader reader(root);
  Report report;
  CpuFacts facts;
  const std::optional<Reader::Head> text = reader.head("/proc/cpuinfo", kCpuinfoBytes);
  const Cpuinfo info = text ? parse_cpuinfo(text->text, text->truncated) : Cpuinfo{};
  read_identity(reader, info, facts);
  const CpuSet online = read_topology(reader, info, facts);
  if (facts.threads == 0)
    return fail(Code::not_found, "neither /proc/cpuinfo nor /sys/devices/system/cpu/online names a CPU");
  read_caches(reader, online, facts);
  read_nodes(reader, facts);
  read_frequencies(reader, info, facts, report.samples);
  read_vulnerabilities(reader, facts);
  report.patch = [facts = std::move(facts)](model::NodeFacts& node) { node.cpu = facts; };
  report.problems = std::move(reader).take_problems();
  return report;
}

}  // namespace

Source cpu_source() {
  return {.name = "cpu",
          .deadline = std::chrono::milliseconds{1000},
          .subsystems = {"cpu", "node", "memory"},
          .on_rtnetlink = false,
          .on_mounts = false,
          .read = read_cpu};
}

}  // namespace omnitide::discovery
