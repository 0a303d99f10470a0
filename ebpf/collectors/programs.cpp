// What the programs say about themselves, and how full the table of cgroups is.
#include <bpf/bpf.h>

#include <array>

#include "ebpf/collectors/openers.hpp"

namespace omnitide::collectors {

namespace {

using model::MetricDescriptor;
using model::MetricType;

constexpr std::array<std::string_view, 1> kProgram{"program"};
constexpr std::array<std::string_view, 1> kCollector{"collector"};
constexpr MetricDescriptor kRuns{"omnitide_ebpf_program_runs_total", "", "Runs of each of our eBPF programs.",
                                 MetricType::counter, kProgram};
constexpr MetricDescriptor kMisses{
    "omnitide_ebpf_program_misses_total", "",
    "Events that the kernel did not give to a program since it was running on that CPU already.", MetricType::counter,
    kProgram};
constexpr MetricDescriptor kUnplaced{
    "omnitide_ebpf_unplaced_events_total", "",
    "Events that count under \"other\" since metrics.ebpf.cgroups had no slot left for their cgroup.",
    MetricType::counter, kCollector};
constexpr MetricDescriptor kLost{"omnitide_ebpf_lost_events_total", "",
                                 "Events that are not counted, or not measured, since a table was full.",
                                 MetricType::counter, kCollector};
constexpr MetricDescriptor kSlots{
    "omnitide_ebpf_cgroup_slots", "", "Cgroups that have values of their own.", MetricType::gauge, {}};
constexpr MetricDescriptor kLimit{
    "omnitide_ebpf_cgroup_slots_limit", "", "Cgroups that may have values of their own.", MetricType::gauge, {}};
constexpr MetricDescriptor kExpired{"omnitide_ebpf_cgroup_slots_expired_total",
                                    "",
                                    "Cgroups that were removed, and count under \"other\" since.",
                                    MetricType::counter,
                                    {}};
constexpr MetricDescriptor kEvicted{"omnitide_ebpf_cgroup_slots_evicted_total",
                                    "",
                                    "Quiet cgroups that count under \"other\" since, to make room for active ones.",
                                    MetricType::counter,
                                    {}};
constexpr std::array kProgramsFamilies{&kRuns, &kMisses, &kUnplaced, &kLost, &kSlots, &kLimit, &kExpired, &kEvicted};

struct ProgramsState {
  std::shared_ptr<Board> board;
  std::shared_ptr<CgroupSlots> slots;
};

void add(model::SampleBatch& batch, const Board::Entry& entry) {
  std::size_t word = 0;
  for (const LoadedProgram& program : entry.programs) {
    const std::uint64_t runs = sum_of(entry.cpus, word++);
    if (program.fd < 0) continue;
    batch.add(kRuns, static_cast<double>(runs), {program.name});
    bpf_prog_info info{};
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(program.fd, &info, &size) == 0)
      batch.add(kMisses, static_cast<double>(info.recursion_misses), {program.name});
  }
  if (entry.slots) batch.add(kUnplaced, static_cast<double>(sum_of(entry.cpus, word++)), {entry.collector});
  if (entry.lost) batch.add(kLost, static_cast<double>(sum_of(entry.cpus, word)), {entry.collector});
}

}  // namespace

Families programs_families() { return kProgramsFamilies; }

Result<Collect> open_programs(const Setup& setup) {
  auto state = std::make_shared<ProgramsState>(ProgramsState{setup.board, setup.slots});
  return Collect([state](model::SampleBatch& batch) -> Result<> {
    for (const Board::Entry& entry : state->board->entries())
      add(batch, entry);
    const CgroupSlots::Figures figures = state->slots->figures();
    batch.add(kSlots, figures.used);
    batch.add(kLimit, figures.limit);
    batch.add(kExpired, static_cast<double>(figures.expired));
    batch.add(kEvicted, static_cast<double>(figures.evicted));
    return {};
  });
}

}  // namespace omnitide::collectors
