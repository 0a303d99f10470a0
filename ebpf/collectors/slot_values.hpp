// The values of one object's cgroups: rows of an array by shard and slot, and what "other" has from slots that were
// taken back.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>

#include "ebpf/abi/collect.h"
#include "ebpf/collectors/cgroup_slots.hpp"
#include "ebpf/collectors/object.hpp"

namespace omnitide::collectors {

// `Row`: a struct of ebpf/abi, nothing but 64-bit counters.
template <class Row>
class SlotValues {
 public:
  static constexpr std::size_t kWords = sizeof(Row) / sizeof(std::uint64_t);
  using Words = std::array<std::uint64_t, kWords>;

  // `activity` says how many events are in a row.
  [[nodiscard]] static std::shared_ptr<SlotValues> open(std::shared_ptr<CgroupSlots> slots, MappedArray rows,
                                                        std::function<std::uint64_t(const Row&)> activity) {
    auto out = std::make_shared<SlotValues>();
    out->slots_ = std::move(slots);
    out->rows_ = rows;
    // The slots keep no owner of them: their values may end first.
    const std::weak_ptr<SlotValues> weak = out;
    out->slots_->join({.fold =
                           [weak](std::uint32_t slot) {
                             if (const auto self = weak.lock()) self->fold(slot);
                           },
                       .activity =
                           [weak, activity = std::move(activity)](std::uint32_t slot) {
                             const auto self = weak.lock();
                             return self ? activity(self->sum(slot)) : 0;
                           }});
    return out;
  }

  // For every cgroup that has a slot, and for "other" and "none".
  template <class Each>
  void read(Each each) {
    slots_->read([this, &each](const CgroupSlots::Shown& shown) { each(shown.labels, sum(shown.slot)); });
  }

 private:
  [[nodiscard]] Row sum(std::uint32_t slot) const {
    Words total = slot == COLLECT_OTHER ? other_ : Words{};
    for (std::size_t row = slot; row < rows_.rows(); row += slots_->count()) {
      const auto words = rows_.row(row);
      for (std::size_t i = 0; i < kWords; ++i)
        total[i] += load_counter(words[i]);
    }
    return std::bit_cast<Row>(total);
  }
  void fold(std::uint32_t slot) {
    for (std::size_t row = slot; row < rows_.rows(); row += slots_->count()) {
      const auto words = rows_.row(row);
      for (std::size_t i = 0; i < kWords; ++i)
        other_[i] += std::atomic_ref(words[i]).exchange(0);
    }
  }

  std::shared_ptr<CgroupSlots> slots_;
  MappedArray rows_;
  Words other_{};
};

}  // namespace omnitide::collectors
