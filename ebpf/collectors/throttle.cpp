#include "ebpf/collectors/throttle.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "ebpf/collectors/openers.hpp"
#include "ebpf/collectors/samples.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr MetricDescriptor kPeriods{"omnitide_cgroup_cpu_periods_total", "",
                                    "Periods of the CPU quota in which the cgroup ran.", MetricType::counter,
                                    kCgroupLabels};
constexpr MetricDescriptor kThrottled{"omnitide_cgroup_cpu_throttled_periods_total", "",
                                      "Periods in which the cgroup was stopped, its CPU quota being used up.",
                                      MetricType::counter, kCgroupLabels};
constexpr MetricDescriptor kSeconds{"omnitide_cgroup_cpu_throttled_seconds_total", "seconds",
                                    "Time for which the cgroup was stopped for its CPU quota, of all CPUs together.",
                                    MetricType::counter, kCgroupLabels};
constexpr std::array kThrottleFamilies{&kPeriods, &kThrottled, &kSeconds};

// Where the CPU controller is: in the hierarchy of version 2, or in one of version 1 with the same paths (systemd's
// hybrid set-up).
struct ThrottleState {
  std::shared_ptr<CgroupSlots> slots;
  std::string root, limit_file;
};

void collect(const ThrottleState& state, model::SampleBatch& batch) {
  std::vector<CgroupLabels> cgroups;
  state.slots->read([&cgroups](const CgroupSlots::Shown& shown) {
    if (shown.labels.cgroup.starts_with('/')) cgroups.push_back(shown.labels);
  });
  for (const CgroupLabels& cgroup : cgroups) {
    const std::string folder = state.root + (cgroup.cgroup == "/" ? std::string() : cgroup.cgroup);
    const Result<std::string> limit = read_file(folder + "/" + state.limit_file, 256);
    if (limit.has_error() || !is_limited(*limit)) continue;
    const Result<std::string> text = read_file(folder + "/cpu.stat", 4096);
    const auto throttling = text ? parse_cpu_stat(*text) : std::nullopt;
    if (!throttling) continue;
    CgroupValues labels(cgroup);
    batch.add(kPeriods, static_cast<double>(throttling->periods), labels.with());
    batch.add(kThrottled, static_cast<double>(throttling->throttled), labels.with());
    batch.add(kSeconds, throttling->seconds, labels.with());
  }
}

std::size_t shared_start(std::string_view left, std::string_view right) {
  return static_cast<std::size_t>(std::ranges::mismatch(left, right).in1 - left.begin());
}

// The mount point of version 1's CPU controller, by /proc/self/mountinfo: the one that is nearest to the hierarchy of
// version 2, as a container has its own beside the node's.
std::string find_cpu_v1(std::string_view v2) {
  const Result<std::string> text = read_file("/proc/self/mountinfo", std::size_t{16} << 20U);
  std::string_view out;
  if (text.has_error()) return {};
  for (const std::string_view line : split(*text, '\n')) {
    const std::size_t dash = line.find(" - cgroup ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> words = split_words(line);
    const std::string_view options = words.back();
    for (const std::string_view option : split(options, ',')) {
      if (option != "cpu" || words.size() < 5) continue;
      if (out.empty() || shared_start(words[4], v2) > shared_start(out, v2)) out = words[4];
    }
  }
  return std::string(out);
}

}  // namespace

std::optional<Throttling> parse_cpu_stat(std::string_view text) {
  Throttling out;
  bool told = false;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> words = split_words(line);
    const auto value = words.size() == 2 ? parse_number<std::uint64_t>(words[1]) : std::nullopt;
    if (!value) continue;
    if (words[0] == "nr_periods") out.periods = *value;
    if (words[0] == "nr_throttled") out.throttled = *value;
    if (words[0] == "throttled_usec") out.seconds = static_cast<double>(*value) * 1e-6;
    if (words[0] == "throttled_time") out.seconds = static_cast<double>(*value) * 1e-9;
    told = told || words[0] == "nr_throttled";
  }
  return told ? std::optional(out) : std::nullopt;
}

bool is_limited(std::string_view text) {
  const std::vector<std::string_view> words = split_words(text);
  return !words.empty() && words[0] != "max" && parse_number<std::uint64_t>(words[0]).has_value();
}

Families throttle_families() { return kThrottleFamilies; }

Result<Collect> open_throttle(const Setup& setup) {
  auto state = std::make_shared<ThrottleState>(
      ThrottleState{.slots = setup.slots, .root = setup.cgroup_mount, .limit_file = "cpu.max"});
  const Result<std::string> controllers = read_file(setup.cgroup_mount + "/cgroup.controllers");
  bool has_cpu = false;
  if (controllers) {
    for (const std::string_view word : split_words(*controllers))
      has_cpu = has_cpu || word == "cpu";
  }
  if (!has_cpu) {
    state->root = find_cpu_v1(setup.cgroup_mount);
    state->limit_file = "cpu.cfs_quota_us";
    if (state->root.empty()) return fail(Code::failed_precondition, "no cgroup hierarchy has the CPU controller");
  }
  return Collect([state](model::SampleBatch& batch) -> Result<> {
    collect(*state, batch);
    return {};
  });
}

}  // namespace omnitide::collectors
