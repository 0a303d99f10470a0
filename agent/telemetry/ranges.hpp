// A set of numbers that come mostly in rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

namespace omnitide::telemetry {

class Ranges {
 public:
  void add(std::uint64_t first, std::uint64_t last);
  [[nodiscard]] bool contains(std::uint64_t number) const;
  // Takes out all up to this number.
  void drop_through(std::uint64_t through);
  void drop_oldest_range();
  // The end of the row that begins at `first`, exactly.
  [[nodiscard]] std::optional<std::uint64_t> row_at(std::uint64_t first) const;
  [[nodiscard]] std::size_t rows() const { return rows_.size(); }
  [[nodiscard]] const std::map<std::uint64_t, std::uint64_t>& all() const { return rows_; }  // first -> last

 private:
  std::map<std::uint64_t, std::uint64_t> rows_;  // first -> last, disjoint and not adjacent
};

}  // namespace omnitide::telemetry
