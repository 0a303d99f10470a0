// `top --bpf`: what every eBPF program of the machine costs, measured on demand.
#include "agent/cli/top_bpf.hpp"

#include <fmt/format.h>

#include "agent/cli/metric_set.hpp"
#include "agent/cli/table.hpp"

namespace omnitide::cli {

std::string bpf_text(std::span<const collectors::ProgramTime> programs, std::chrono::milliseconds duration,
                     const Console& console) {
  const double seconds = std::chrono::duration<double>(duration).count();
  Table table({{"ID", true}, {"PROGRAM", false, true}, {"TYPE"}, {"RUNS/s", true}, {"NS/RUN", true}, {"CPU", true}});
  double all = 0;
  for (const collectors::ProgramTime& program : programs) {
    const auto nanoseconds = static_cast<double>(program.time.count());
    const double share = nanoseconds / 1e9 / seconds;
    all += share;
    table.row({std::to_string(program.id), program.name, program.type,
               count_text(static_cast<double>(program.runs) / seconds),
               fmt::format("{:.0f}", program.runs == 0 ? 0 : nanoseconds / static_cast<double>(program.runs)),
               fmt::format("{:.3f}%", share * 100)});
  }
  if (table.empty()) return fmt::format("No eBPF program ran in {:.1f} s.\n", seconds);
  return table.render(console) +
         fmt::format("\n{} programs ran in {:.1f} s and took {:.3f}% of one CPU.\n", table.size(), seconds, all * 100);
}

int show_bpf(const Session& session, std::chrono::milliseconds duration) {
  const Result<std::vector<collectors::ProgramTime>> times = collectors::bpf_run_times(duration);
  if (times.has_error()) return session.failed(times.error());
  return session.print(bpf_text(*times, duration, session.console()));
}

}  // namespace omnitide::cli
