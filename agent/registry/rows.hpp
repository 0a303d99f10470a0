// Rows of a query as values.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "agent/base/clock.hpp"
#include "agent/registry/database.hpp"

namespace omnitide::registry {

[[nodiscard]] inline std::int64_t number(WallTime time) { return time.time_since_epoch().count(); }
[[nodiscard]] inline WallTime time_of(std::int64_t milliseconds) {
  return WallTime(std::chrono::milliseconds(milliseconds));
}

template <class T, class Make>
[[nodiscard]] Result<std::vector<T>> all_rows(Query& query, const Make& make) {
  std::vector<T> out;
  while (true) {
    const Result<bool> row = query.step();
    if (row.has_error()) return row.error();
    if (!*row) return out;
    out.push_back(make(query));
  }
}

template <class T, class Make>
[[nodiscard]] Result<std::optional<T>> one_row(Query& query, const Make& make) {
  const Result<bool> row = query.step();
  if (row.has_error()) return row.error();
  if (!*row) return std::optional<T>{};
  return std::optional<T>(make(query));
}

}  // namespace omnitide::registry
