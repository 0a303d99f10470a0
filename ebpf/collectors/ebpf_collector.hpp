// A collector of the eBPF metrics, or the reason why there is none.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/model/collector.hpp"
#include "ebpf/collectors/cgroup_slots.hpp"
#include "ebpf/collectors/kernel_types.hpp"
#include "ebpf/collectors/object.hpp"

namespace omnitide::collectors {

struct EbpfCollector {
  model::Collector collector;  // `collect` is empty when it is off; the rest is set
  std::string off;             // empty: it works
  std::string how;             // empty: as it does best; else what stands in for that, and why
};

// Each object's own figures: how often its programs ran, and what they could not count as they should.
class Board {
 public:
  struct Entry {
    std::string_view collector;           // static storage
    std::vector<LoadedProgram> programs;  // in the order of the counters
    MappedArray cpus;
    bool slots = false;  // behind the counters is "unplaced"
    bool lost = false;   // then "lost"
  };
  void add(Entry entry) {
    const std::lock_guard lock(mutex_);
    entries_.push_back(std::move(entry));
  }
  [[nodiscard]] std::vector<Entry> entries() {
    const std::lock_guard lock(mutex_);
    return entries_;
  }

 private:
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

// What all of them need. Used on one thread, while they are opened.
struct Setup {
  const KernelTypes& types;
  std::shared_ptr<CgroupSlots> slots;
  std::shared_ptr<const PodNames> pods;  // null: not in Kubernetes
  std::shared_ptr<Board> board;
  std::uint32_t cpus = 1;                                        // that may ever be there
  int cgroup_root = -1;                                          // descriptor of the root of cgroup v2
  std::string cgroup_mount;                                      // its path
  bool functions = true;                                         // may be attached to, where the kernel can
  std::string* how = nullptr;                                    // EbpfCollector::how of the one that is opened
  [[nodiscard]] std::uint32_t shards(std::uint32_t most) const;  // a power of two: at most `most`
};

// Prepares an object whose maps are by cgroup: shares the slots, sizes `values` and `cpus`.
[[nodiscard]] Result<> use_slots(Object& object, const Setup& setup, std::uint32_t shards);
// Puts the object's figures on the board. `programs`: by the order of the counters in `cpus`; those that were left out
// are named too.
[[nodiscard]] Result<> put_on_board(Object& object, const Setup& setup, std::string_view collector,
                                    const std::vector<std::string_view>& programs, bool slots, bool lost);
// The sum over all CPUs of one word of `cpus`.
[[nodiscard]] std::uint64_t sum_of(const MappedArray& cpus, std::size_t word);

}  // namespace omnitide::collectors
