// CPU time (/proc/stat), throttling and frequencies (/sys/devices/system/cpu), cpuinfo.
#include <fmt/format.h>

#include <map>
#include <set>

#include "discovery/collectors/collectors.hpp"
#include "discovery/collectors/families.hpp"
#include "discovery/collectors/scan.hpp"
#include "discovery/collectors/sysfs_class.hpp"

namespace omnitide::discovery {

namespace {

using model::MetricDescriptor;
using model::SampleBatch;

constexpr std::string_view kCpuFolder = "/sys/devices/system/cpu";

constexpr std::array<std::string_view, 2> kCpuByMode{"cpu", "mode"};
constexpr std::array<std::string_view, 2> kByCore{"core", "package"};
constexpr std::array<std::string_view, 1> kByPackage{"package"};
constexpr std::array<std::string_view, 10> kCpuInfoLabels{"cachesize", "core",       "cpu",     "family",   "microcode",
                                                          "model",     "model_name", "package", "stepping", "vendor"};
constexpr std::array kTime{counter("node_cpu_seconds_total", "Time that a CPU spent in a mode.", kCpuByMode),
                           counter("node_cpu_guest_seconds_total",
                                   "Time that a CPU ran virtual machines; part of user and nice.", kCpuByMode)};
constexpr std::array kCpuMore{
    counter("node_cpu_core_throttles_total", "Times that a core was slowed down for its heat.", kByCore),
    counter("node_cpu_package_throttles_total", "Times that a package was slowed down for its heat.", kByPackage),
    gauge("node_cpu_isolated", "1 for each CPU that is kept free of other tasks (isolcpus).", kByCpu),
    gauge("node_cpu_info", "What /proc/cpuinfo says about a CPU; the value is 1.", kCpuInfoLabels)};
constexpr auto kCpuAll = pointers(kTime, kCpuMore);
constexpr std::array<std::string_view, 8> kModes{"user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"};
constexpr double kTicksPerSecond = 100;  // USER_HZ, fixed by the kernel's interface

struct Throttle {
  Folder folder;
  std::string core, package;
};

class CpuState {
 public:
  CpuState(Root root, const Settings& settings, std::shared_ptr<SharedFile> proc_stat)
      : root_(std::move(root)),
        stat_(std::move(proc_stat)),
        cpuinfo_(root_, "/proc/cpuinfo"),
        isolated_(root_, std::string(kCpuFolder) + "/isolated"),
        guest_(settings.flag("cpu.guest")),
        info_(settings.flag("cpu.info")) {}

  Result<> collect(SampleBatch& batch) {
    if (info_) {
      if (const Result<> added = add_info(batch); added.has_error()) return added;
    }
    const Result<> added = stat_->with([&](std::string_view text) { return add_times(text, batch); });
    if (added.has_error()) return added;
    add_isolated(batch);
    add_throttles(batch);
    return {};
  }

 private:
  Result<> add_times(std::string_view text, SampleBatch& batch) {
    std::size_t cpus = 0;
    bool good = true;
    each_line(text, [&](std::string_view line) {
      if (!line.starts_with("cpu")) return;
      Words words(line);
      const std::string_view cpu = words.next().substr(3);
      if (cpu.empty() || !good) return;  // the sum of all
      if (cpus >= last_.size()) last_.emplace_back();
      std::array<double, 10> ticks{};
      std::size_t count = 0;
      for (std::string_view word = words.next(); !word.empty() && count < ticks.size(); word = words.next()) {
        const std::optional<double> value = value_of(word);
        if (!value) good = false;
        ticks.at(count++) = value.value_or(0);
      }
      if (good && count >= 4) add_cpu(cpu, forward(last_[cpus], ticks), batch);
      ++cpus;
    });
    if (!good) return fail(Code::invalid_argument, "/proc/stat is malformed");
    last_.resize(cpus);
    return {};
  }

  // The kernel's idle and iowait times step back now and then (fs/proc/stat.c), and a counter must not. Idle time that
  // falls by more than three seconds is a CPU that was away.
  static const std::array<double, 10>& forward(std::array<double, 10>& last, const std::array<double, 10>& now) {
    constexpr std::size_t kIdle = 3;
    if (last[kIdle] - now[kIdle] >= 3 * kTicksPerSecond) last = {};
    for (std::size_t i = 0; i < last.size(); ++i)
      last.at(i) = std::max(last.at(i), now.at(i));
    return last;
  }

  void add_cpu(std::string_view cpu, const std::array<double, 10>& ticks, SampleBatch& batch) const {
    for (std::size_t i = 0; i < kModes.size(); ++i)
      batch.add(kTime[0], ticks.at(i) / kTicksPerSecond, {cpu, kModes.at(i)});
    if (!guest_) return;
    batch.add(kTime[1], ticks[8] / kTicksPerSecond, {cpu, "user"});
    batch.add(kTime[1], ticks[9] / kTicksPerSecond, {cpu, "nice"});
  }

  void add_isolated(SampleBatch& batch) {
    const Result<std::string_view> read = isolated_.read();
    if (read.has_error()) return;
    std::string_view list = trim(*read);  // "2-3,6"
    while (!list.empty()) {
      std::string_view range = cut(list, ',');
      const auto first = parse_number<std::uint16_t>(cut(range, '-'));
      const auto last = range.empty() ? first : parse_number<std::uint16_t>(range);
      if (!first || !last) return;
      for (unsigned cpu = *first; cpu <= *last; ++cpu)
        batch.add(kCpuMore[2], 1, {std::to_string(cpu)});
    }
  }

  // Which CPU is in which core and package changes when one comes or goes.
  void find_throttles() {
    throttles_.clear();
    known_cpus_ = last_.size();
    for (const std::string& name : root_.names(std::string(kCpuFolder))) {
      if (!name.starts_with("cpu") || !parse_number<std::uint32_t>(std::string_view(name).substr(3))) continue;
      const std::string path = fmt::format("{}/{}", kCpuFolder, name);
      Result<Folder> throttle = Folder::open(root_, path + "/thermal_throttle");
      Result<Folder> topology = Folder::open(root_, path + "/topology");
      if (throttle.has_error() || topology.has_error()) continue;
      std::string core = topology->label("core_id"), package = topology->label("physical_package_id");
      if (core.empty() || package.empty()) continue;
      throttles_.push_back({std::move(*throttle), std::move(core), std::move(package)});
    }
  }

  void add_throttles(SampleBatch& batch) {
    if (known_cpus_ != last_.size()) find_throttles();
    std::set<std::string_view> packages;
    std::set<std::pair<std::string_view, std::string_view>> cores;
    for (Throttle& each : throttles_) {
      if (!cores.contains({each.package, each.core})) {
        if (const auto count = each.folder.number("core_throttle_count")) {
          cores.emplace(each.package, each.core);
          batch.add(kCpuMore[0], *count, {each.core, each.package});
        }
      }
      if (packages.contains(each.package)) continue;
      if (const auto count = each.folder.number("package_throttle_count")) {
        packages.insert(each.package);
        batch.add(kCpuMore[1], *count, {each.package});
      }
    }
  }

  Result<> add_info(SampleBatch& batch) {
    const Result<std::string_view> read = cpuinfo_.read();
    if (read.has_error()) return read.error();
    constexpr std::array<std::string_view, 10> kFields{"cache size", "core id",  "processor",  "cpu family",
                                                       "microcode",  "model",    "model name", "physical id",
                                                       "stepping",   "vendor_id"};
    std::array<std::string, 10> values;
    const auto flush = [&] {
      if (values[2].empty()) return;
      std::array<std::string_view, 10> labels;
      for (std::size_t i = 0; i < values.size(); ++i)
        labels.at(i) = values.at(i);
      batch.add(kCpuMore[3], 1, labels);
      values = {};
    };
    each_line(*read, [&](std::string_view line) {
      if (line.empty()) return flush();
      const std::string_view field = trim(cut(line, ':'));
      for (std::size_t i = 0; i < kFields.size(); ++i)
        if (field == kFields.at(i)) values.at(i) = valid_utf8(trim(line));
    });
    flush();
    return {};
  }

  Root root_;
  std::shared_ptr<SharedFile> stat_;
  KeptFile cpuinfo_, isolated_;
  bool guest_, info_;
  std::vector<std::array<double, 10>> last_;  // ticks of each CPU, in the order of the file
  std::vector<Throttle> throttles_;
  std::size_t known_cpus_ = 0;
};

constexpr std::array kFrequency{
    gauge("node_cpu_frequency_hertz", "The frequency that the hardware says it has now.", kByCpu),
    gauge("node_cpu_frequency_min_hertz", "The lowest frequency that the hardware has.", kByCpu),
    gauge("node_cpu_frequency_max_hertz", "The highest frequency that the hardware has.", kByCpu),
    gauge("node_cpu_scaling_frequency_hertz", "The frequency that the kernel believes a CPU to have.", kByCpu),
    gauge("node_cpu_scaling_frequency_min_hertz", "The lowest frequency that the governor may choose.", kByCpu),
    gauge("node_cpu_scaling_frequency_max_hertz", "The highest frequency that the governor may choose.", kByCpu)};
constexpr auto kFrequencyAll = pointers(kFrequency);
constexpr std::array<const char*, 6> kFrequencyFiles{"cpuinfo_cur_freq", "cpuinfo_min_freq", "cpuinfo_max_freq",
                                                     "scaling_cur_freq", "scaling_min_freq", "scaling_max_freq"};

}  // namespace

Collector cpu_collector(const Root& root, const Settings& settings, std::shared_ptr<SharedFile> proc_stat) {
  const auto state = std::make_shared<CpuState>(root, settings, std::move(proc_stat));
  return {"cpu", kCpuAll, [state](SampleBatch& batch) { return state->collect(batch); }, "/proc/stat", kQuick};
}

Collector cpufreq_collector(const Root& root) {
  const auto folders = std::make_shared<KeptFolders>(root, std::string(kCpuFolder), "cpu", "/cpufreq");
  const auto collect = [folders](SampleBatch& batch) -> Result<> {
    for (auto& [name, folder] : folders->all()) {
      const std::string_view cpu = std::string_view(name).substr(3);
      for (std::size_t i = 0; i < kFrequency.size(); ++i) {
        if (const auto kilohertz = folder.number(kFrequencyFiles.at(i)))
          batch.add(kFrequency.at(i), *kilohertz * 1000, {cpu});
      }
    }
    return {};
  };
  return {"cpufreq", kFrequencyAll, collect, "/sys/devices/system/cpu/cpu*/cpufreq", kQuick};
}

}  // namespace omnitide::discovery
