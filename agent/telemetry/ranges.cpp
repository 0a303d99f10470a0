#include "agent/telemetry/ranges.hpp"

#include <algorithm>
#include <iterator>

namespace omnitide::telemetry {

void Ranges::add(std::uint64_t first, std::uint64_t last) {
  auto at = rows_.upper_bound(first);
  if (at != rows_.begin() && std::prev(at)->second + 1 >= first) --at;
  while (at != rows_.end() && at->first <= last + 1) {  // swallows what it touches
    first = std::min(first, at->first);
    last = std::max(last, at->second);
    at = rows_.erase(at);
  }
  rows_.emplace(first, last);
}

bool Ranges::contains(std::uint64_t number) const {
  const auto after = rows_.upper_bound(number);
  return after != rows_.begin() && std::prev(after)->second >= number;
}

void Ranges::drop_through(std::uint64_t through) {
  while (!rows_.empty() && rows_.begin()->first <= through) {
    const std::uint64_t last = rows_.begin()->second;
    rows_.erase(rows_.begin());
    if (last > through) rows_.emplace(through + 1, last);
  }
}

void Ranges::drop_oldest_range() {
  if (!rows_.empty()) rows_.erase(rows_.begin());
}

std::optional<std::uint64_t> Ranges::row_at(std::uint64_t first) const {
  const auto found = rows_.find(first);
  return found == rows_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace omnitide::telemetry
