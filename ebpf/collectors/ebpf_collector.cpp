#include "ebpf/collectors/ebpf_collector.hpp"

#include <algorithm>
#include <bit>

namespace omnitide::collectors {

std::uint32_t Setup::shards(std::uint32_t most) const { return std::min(std::bit_ceil(std::max(cpus, 1U)), most); }

Result<> use_slots(Object& object, const Setup& setup, std::uint32_t shards) {
  const auto all = {object.share("cgroup_slots", setup.slots->slots_fd()),
                    object.share("cgroup_free", setup.slots->free_fd()),
                    object.share("cgroup_state", setup.slots->state_fd()),
                    object.resize("values", shards * setup.slots->count()),
                    object.resize("cpus", setup.cpus),
                    object.set("slots", setup.slots->count()),
                    object.set("shards", shards)};
  for (const Result<>& each : all) {
    if (each.has_error()) return each.error();
  }
  return {};
}

Result<> put_on_board(Object& object, const Setup& setup, std::string_view collector,
                      const std::vector<std::string_view>& programs, bool slots, bool lost) {
  const Result<MappedArray> cpus = object.array("cpus");
  if (cpus.has_error()) return cpus.error();
  Board::Entry entry{.collector = collector, .programs = {}, .cpus = *cpus, .slots = slots, .lost = lost};
  const std::vector<LoadedProgram> loaded = object.programs();
  for (const std::string_view name : programs) {
    const auto found = std::ranges::find(loaded, name, &LoadedProgram::name);
    entry.programs.push_back(found == loaded.end() ? LoadedProgram{std::string(name), -1} : *found);
  }
  setup.board->add(std::move(entry));
  return {};
}

std::uint64_t sum_of(const MappedArray& cpus, std::size_t word) {
  std::uint64_t total = 0;
  for (std::size_t row = 0; row < cpus.rows(); ++row)
    total += load_counter(cpus.row(row)[word]);
  return total;
}

}  // namespace omnitide::collectors
