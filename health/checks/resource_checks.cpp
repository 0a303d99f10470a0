// What can run out: memory, processes, open files, tracked connections.
#include <fmt/format.h>

#include <memory>

#include "agent/base/text.hpp"
#include "health/checks/checks.hpp"
#include "health/checks/probes.hpp"

namespace omnitide::health {

namespace {

using namespace std::chrono_literals;

struct Memory {
  Thresholds thresholds;
  Rates rates;

  Finding look(const Readings& readings) {
    const auto available = readings.value("node_memory_MemAvailable_bytes");
    const auto total = readings.value("node_memory_MemTotal_bytes");
    const auto stalled = readings.value("node_pressure_memory_stalled_seconds_total");
    // Seconds of stall in a second of time.
    const auto rate = stalled ? rates.rate("stalled", *stalled, readings.time()) : std::nullopt;
    if (!available || !total || *total <= 0) return unknown("the memory was not read");
    const double part = *available / *total * 100, stall = rate.value_or(0) * 100;
    const Evidence seen{{"available", human_bytes(static_cast<unsigned long long>(*available))},
                        {"part", percent(part)},
                        {"stalled", rate ? percent(stall) : "not known"}};
    if (stall > thresholds.memory_stall_percent)
      return bad("MemoryStalls",
                 fmt::format("for {} of the time no task could go on for want of memory", percent(stall)), seen);
    if (part < thresholds.memory_percent)
      return bad("MemoryLow", fmt::format("{} of the memory is available", percent(part)), seen);
    return good("MemorySufficient", fmt::format("{} of the memory is available", percent(part)));
  }
};

// Something of which so many are used, of so many that there may be.
struct Use {
  std::string_view used, limit;
  const char* what;    // "open files"
  const char* reason;  // of a fault
  const char* fine;    // reason of no fault
  double most;         // percent

  Finding operator()(const Readings& readings) const {
    const auto count = readings.value(used);
    const auto bound = readings.value(limit);
    if (!count || !bound || *bound <= 0) return unknown(fmt::format("the {} were not counted", what));
    const double part = *count / *bound * 100;
    const std::string text = fmt::format("{:.0f} of {:.0f} {} are in use", *count, *bound, what);
    if (part > most) return bad(reason, text, {{"used", fmt::format("{:.0f}", *count)}, {"part", percent(part)}});
    return good(fine, text);
  }
};

}  // namespace

std::vector<Check> resource_checks(const Thresholds& thresholds) {
  const auto memory = std::make_shared<Memory>(Memory{thresholds, {}});
  const double most = thresholds.use_percent;
  return {Check{"memory",
                "MemoryPressure",
                "Available memory, and time lost for want of it",
                15s,
                {2, 3},
                {"meminfo", "pressure"},
                [memory](const Readings& readings) { return memory->look(readings); }},
          Check{"processes",
                "PIDPressure",
                "Processes and threads against the kernel's limits",
                15s,
                {2, 2},
                {std::string(kTasksProbe)},
                Use{kTasks, kTasksLimit, "processes and threads", "TooManyProcesses", "ProcessesSufficient", most}},
          Check{"open-files",
                "FileDescriptorPressure",
                "Open files of the whole node against fs.file-max",
                15s,
                {2, 2},
                {"filefd"},
                Use{"node_filefd_allocated", "node_filefd_maximum", "open files", "TooManyOpenFiles",
                    "OpenFilesSufficient", most}},
          Check{"conntrack",
                "ConntrackPressure",
                "Tracked connections against nf_conntrack_max",
                15s,
                {2, 2},
                {"conntrack"},
                Use{"node_nf_conntrack_entries", "node_nf_conntrack_entries_limit", "tracked connections",
                    "ConntrackTableFull", "ConntrackTableHasRoom", most}}};
}

}  // namespace omnitide::health
