// Numbers of a stream that nobody will get although they are not confirmed yet: records that were damaged or refused.
// They are counted for good only when all before them has left, so that a restart in between counts none twice.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "agent/telemetry/record.hpp"
#include "agent/telemetry/spool.hpp"

namespace omnitide::telemetry {

using DropCounts = std::array<std::uint64_t, kDropCauses>;

class Holes {
 public:
  static constexpr std::size_t kMost = 1024;  // ranges

  // Those of [first, last] that are in no hole yet. False: there are too many holes already, and it is left out.
  bool add(RecordNumber first, RecordNumber last, DropCause cause);
  // The end of the hole that has this number; 0: none has it.
  [[nodiscard]] RecordNumber end_of(RecordNumber number) const;
  // Takes out what is at or below `through`, adds it to `counts`, and says how many.
  std::uint64_t take(RecordNumber through, DropCounts& counts);
  void add_to(DropCounts& counts) const;
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool full() const { return ranges_.size() >= kMost; }
  [[nodiscard]] std::size_t memory() const { return ranges_.capacity() * sizeof(Range); }

 private:
  struct Range {
    RecordNumber first = 0, last = 0;
    DropCause cause = DropCause::corrupt;
  };
  [[nodiscard]] std::size_t at_or_behind(
      RecordNumber number) const;  // index of the first range that ends there or later
  bool insert(std::size_t at, const Range& range);

  std::vector<Range> ranges_;  // by number, disjoint
  std::uint64_t count_ = 0;
};

}  // namespace omnitide::telemetry
