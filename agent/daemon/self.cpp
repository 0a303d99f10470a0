#include "agent/daemon/self.hpp"

#include <link.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

#include "agent/base/file.hpp"
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
constexpr MetricDescriptor kResident{
    "omnitide_agent_resident_memory_bytes", "bytes", "Resident memory of the agent.", MetricType::gauge, {}};
constexpr MetricDescriptor kCpu{
    "omnitide_agent_cpu_seconds_total", "seconds", "CPU time of the agent, user and system.", MetricType::counter, {}};
constexpr MetricDescriptor kPart{"omnitide_agent_part_state", "",
                                 "State of a part: 0 off, 1 starting, 2 on, 3 degraded, 4 failed.", MetricType::gauge,
                                 kPartLabel};
constexpr MetricDescriptor kStuck{
    "omnitide_agent_stuck_workers", "", "Worker threads that hang in a call and were given up.", MetricType::gauge, {}};

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

int release_segments(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  for (ElfW(Half) i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    const std::uintptr_t begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const std::uintptr_t end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz + page - 1) & ~(page - 1);
    ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // a hint: a failure costs memory only
  }
  return 0;
}

}  // namespace

void release_start_up_code() { ::dl_iterate_phdr(release_segments, nullptr); }

std::uint64_t resident_bytes() {
  const Result<std::string> statm = read_file("/proc/self/statm", 256);
  if (statm.has_error()) return 0;
  const auto words = split_words(*statm);
  const auto pages = words.size() > 1 ? parse_number<std::uint64_t>(words[1]) : std::nullopt;
  return pages.value_or(0) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::vector<model::Sample> self_samples(const std::vector<model::PartStatus>& parts, unsigned stuck_workers) {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::vector<model::Sample> out{
      {&kBuildInfo, {std::string(version()), std::string(commit())}, 1},
      {&kResident, {}, static_cast<double>(resident_bytes())},
      {&kCpu, {}, seconds(usage.ru_utime) + seconds(usage.ru_stime)},
      {&kStuck, {}, static_cast<double>(stuck_workers)},
  };
  for (const model::PartStatus& part : parts)
    out.push_back({&kPart, {part.name}, static_cast<double>(part.state)});
  return out;
}

}  // namespace omnitide::daemon
