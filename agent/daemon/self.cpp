#include "agent/daemon/self.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "agent/base/file.hpp"
#include "agent/base/root.hpp"
#include "agent/base/text.hpp"
#include "agent/base/version.hpp"

namespace omnitide::daemon {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 2> kVersionLabels{"version", "revision"};
constexpr std::array<std::string_view, 1> kPartLabel{"part"};
constexpr MetricDescriptor kBuildInfo{"omnitide_agent_build_info", "",
                                      "Version and commit of the agent; the value is 1.", MetricType::gauge,
                                      kVersionLabels};
constexpr MetricDescriptor kPart{"omnitide_agent_part_state", "",
                                 "State of a part: 0 off, 1 starting, 2 on, 3 degraded, 4 failed.", MetricType::gauge,
                                 kPartLabel};
constexpr MetricDescriptor kStuck{
    "omnitide_agent_stuck_workers", "", "Worker threads that hang in a call and were given up.", MetricType::gauge, {}};

// Names and meaning: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics.
constexpr std::array kProcess{
    MetricDescriptor{
        "process_cpu_seconds_total", "seconds", "CPU time of the agent, user and system.", MetricType::counter, {}},
    MetricDescriptor{"process_virtual_memory_bytes", "bytes", "Address space of the agent.", MetricType::gauge, {}},
    MetricDescriptor{
        "process_virtual_memory_max_bytes", "bytes", "Address space that the agent may have.", MetricType::gauge, {}},
    MetricDescriptor{"process_resident_memory_bytes", "bytes", "Resident memory of the agent.", MetricType::gauge, {}},
    MetricDescriptor{"process_open_fds", "", "File descriptors that the agent has open.", MetricType::gauge, {}},
    MetricDescriptor{"process_max_fds", "", "File descriptors that the agent may open.", MetricType::gauge, {}},
    MetricDescriptor{"process_start_time_seconds",
                     "seconds",
                     "When the agent was started, in seconds since 1970.",
                     MetricType::gauge,
                     {}}};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double limit(int resource) {
  rlimit out{};
  return ::getrlimit(static_cast<__rlimit_resource_t>(resource), &out) == 0 ? static_cast<double>(out.rlim_cur) : 0;
}

// The kernel says since 6.2 in the folder's size how many descriptors there are; before, they are counted.
double open_descriptors() {
  struct stat info {};
  if (::stat("/proc/self/fd", &info) == 0 && info.st_size > 0) return static_cast<double>(info.st_size);
  const Result<Root> root = Root::open("/");
  return root.has_value() ? static_cast<double>(root->names("/proc/self/fd").size()) : 0;
}

// Ticks between the boot and the start of this process: the 22nd field of /proc/self/stat, behind the name's bracket.
double start_time() {
  const Result<std::string> own = read_file("/proc/self/stat", 4096);
  const std::size_t bracket = own.has_value() ? own->rfind(')') : std::string::npos;
  if (bracket == std::string::npos) return 0;
  const auto words = split_words(std::string_view(*own).substr(bracket + 1));
  const auto ticks = words.size() > 19 ? parse_number<std::uint64_t>(words[19]) : std::nullopt;
  timespec now{}, up{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  ::clock_gettime(CLOCK_BOOTTIME, &up);
  const double boot = static_cast<double>(now.tv_sec - up.tv_sec) + static_cast<double>(now.tv_nsec - up.tv_nsec) / 1e9;
  return boot + static_cast<double>(ticks.value_or(0)) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void add_process(model::SampleBatch& out) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const Result<std::string> statm = read_file("/proc/self/statm", 256);
  const auto words = statm.has_value() ? split_words(*statm) : std::vector<std::string_view>{};
  const auto pages = [&words](std::size_t at) {
    const auto count = words.size() > at ? parse_number<std::uint64_t>(words[at]) : std::nullopt;
    return static_cast<double>(count.value_or(0)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  };
  static const double started = start_time();
  const std::array<double, kProcess.size()> values{seconds(usage.ru_utime) + seconds(usage.ru_stime),
                                                   pages(0),
                                                   limit(RLIMIT_AS),
                                                   pages(1),
                                                   open_descriptors(),
                                                   limit(RLIMIT_NOFILE),
                                                   started};
  for (std::size_t i = 0; i < values.size(); ++i)
    out.add(kProcess.at(i), values.at(i));
}

}  // namespace

std::uint64_t resident_bytes() {
  const Result<std::string> statm = read_file("/proc/self/statm", 256);
  if (statm.has_error()) return 0;
  const auto words = split_words(*statm);
  const auto pages = words.size() > 1 ? parse_number<std::uint64_t>(words[1]) : std::nullopt;
  return pages.value_or(0) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::vector<const MetricDescriptor*> self_descriptors() {
  std::vector<const MetricDescriptor*> out{&kBuildInfo, &kPart, &kStuck};
  for (const MetricDescriptor& descriptor : kProcess)
    out.push_back(&descriptor);
  return out;
}

void add_self(const std::vector<model::PartStatus>& parts, unsigned stuck_workers, model::SampleBatch& out) {
  add_process(out);
  out.add(kBuildInfo, 1, {version(), commit()});
  out.add(kStuck, static_cast<double>(stuck_workers));
  for (const model::PartStatus& part : parts)
    out.add(kPart, static_cast<double>(part.state), {part.name});
}

}  // namespace omnitide::daemon
